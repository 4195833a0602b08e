"""Exports one gauge by the OpenTelemetry SDK, as an application does: URL TOKEN VALUE."""

import sys

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader

url, token, value = sys.argv[1], sys.argv[2], int(sys.argv[3])
exports = []


class Watched(OTLPMetricExporter):
    """Remembers how each export ended."""

    def export(self, *args, **kwargs):
        result = super().export(*args, **kwargs)
        exports.append(result)
        return result


for compression in (Compression.NoCompression, Compression.Gzip):
    exporter = Watched(
        endpoint=url, headers={"Authorization": f"Bearer {token}"}, compression=compression
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider(metric_readers=[reader])
    meter = provider.get_meter("acceptance")
    meter.create_observable_gauge("queue.length", callbacks=[lambda _: [Observation(value)]])
    meter.create_counter("other.things").add(1)
    assert provider.force_flush(10_000)
    provider.shutdown()

assert exports and all(result is MetricExportResult.SUCCESS for result in exports), exports
print(f"OpenTelemetry: {len(exports)} exports taken")

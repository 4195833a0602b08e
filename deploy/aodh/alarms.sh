#!/bin/sh
# Two alarms of Aodh that tell novascale when the servers of a group have much to do.
#
#     deploy/aodh/alarms.sh https://scale.example.net/v1/webhooks/aodh/SECRET web
#
# Aodh sends no header of ours, so the source goes by the end of its address:
#     [[source.aodh.auth]]
#     url = { file = "/etc/novascale/aodh-secret" }
# The servers are those whose names begin with the group's and a hyphen, as novascale calls its own:
# a group called web-api would be among those of web.
set -eu

url=${1:?the address of the source, with its secret}
group=${2:?the name of the group in novascale}

# cpu is in nanoseconds: of one processor's 300 seconds, 80 % are 240 s.
alarm() {
    openstack alarm create \
        --name "$1" \
        --description "novascale: the group $group" \
        --type gnocchi_aggregation_by_resources_threshold \
        --resource-type instance \
        --query "{\"and\": [{\"like\": {\"display_name\": \"$group-%\"}}, {\"=\": {\"ended_at\": null}}]}" \
        --metric cpu \
        --aggregation-method rate:mean \
        --granularity 300 \
        --evaluation-periods "$3" \
        --comparison-operator gt \
        --threshold "$2" \
        --repeat-actions True \
        --alarm-action "$url" \
        --ok-action "$url" \
        --insufficient-data-action "$url"
}

alarm "${group}_cpu_high" 240000000000 1
alarm "${group}_cpu_busy" 180000000000 3

#!/bin/sh
# Tells novascale how many jobs wait or run, as the signal that deploy/examples/ci.toml goes by.
# Have a timer call it every 30 seconds. With GitLab:
#
#     GITLAB_PROJECT=42 GITLAB_TOKEN_FILE=/etc/novascale/gitlab-token deploy/ci/queue-length.sh
#
# with GitHub:
#
#     GITHUB_REPOSITORY=owner/name GITHUB_TOKEN_FILE=/etc/novascale/github-token deploy/ci/queue-length.sh
#
# GitLab counts jobs, those too that wait for others of their pipeline. GitHub counts runs of
# workflows, each of which may have several jobs: there, ask for more servers for each.
#
# If the count cannot be had nothing is sent: then novascale keeps what there is.
set -eu

novascale=${NOVASCALE_URL:-http://127.0.0.1:7780}
token=${NOVASCALE_TOKEN_FILE:-.novascale/tokens/signal}
group=${NOVASCALE_GROUP:-runners}
signal=${NOVASCALE_SIGNAL:-jobs}

fail() {
    echo "queue-length: $1; nothing was sent" >&2
    exit 1
}

# Secrets reach curl by its standard input, for arguments can be seen by others.
ask() {
    printf 'header = "%s"\n' "$1" | curl --silent --show-error --fail --max-time 20 --config - "$2" "$3"
}

gitlab() {
    url=${GITLAB_URL:-https://gitlab.com}/api/v4/projects/$GITLAB_PROJECT/jobs
    answer=$(ask "PRIVATE-TOKEN: $(cat "$GITLAB_TOKEN_FILE")" --head \
        "$url?scope%5B%5D=created&scope%5B%5D=pending&scope%5B%5D=running&per_page=1") || return 1
    printf '%s\n' "$answer" | tr -d '\r' | sed -n 's/^[Xx]-[Tt]otal: *\([0-9][0-9]*\)$/\1/p'
}

github() {
    url=${GITHUB_API:-https://api.github.com}/repos/$GITHUB_REPOSITORY/actions/runs
    answer=$(ask "Authorization: Bearer $(cat "$GITHUB_TOKEN_FILE")" --get \
        "$url?status=$1&per_page=1") || return 1
    printf '%s\n' "$answer" | sed -n 's/.*"total_count": *\([0-9][0-9]*\).*/\1/p' | head -n 1
}

if [ -n "${GITLAB_PROJECT:-}" ]; then
    jobs=$(gitlab) || fail "GitLab did not answer"
    [ -n "$jobs" ] || fail "GitLab told no number of jobs"
elif [ -n "${GITHUB_REPOSITORY:-}" ]; then
    queued=$(github queued) || fail "GitHub did not answer"
    running=$(github in_progress) || fail "GitHub did not answer"
    [ -n "$queued" ] && [ -n "$running" ] || fail "GitHub told no number of runs"
    jobs=$((queued + running))
else
    fail "set GITLAB_PROJECT or GITHUB_REPOSITORY"
fi

printf 'header = "Authorization: Bearer %s"\n' "$(cat "$token")" |
    curl --silent --show-error --fail-with-body --max-time 10 --config - \
        --header 'Content-Type: application/json' \
        --data "{\"name\": \"$signal\", \"value\": $jobs}" \
        "$novascale/v1/groups/$group/signals"
echo

# shellcheck shell=bash
# postgres: a real PostgreSQL of a test file's own: on a free port of loopback, where it
# wants a password, and on a socket, where it wants none.
#
#   load postgres
#
#   setup_file()    { postgres_start; }     # once: it takes some seconds
#   teardown_file() { postgres_end; }
#
# postgres_start   exports PGHOST (the socket's folder), PGPORT, PGUSER and PGDATABASE, so
#                  that a bare psql finds it, and $postgres, its process
# postgres_end     ends it, and takes its folder away
# pg SQL           runs it: rows of bare text, an error ends with a status
#
# It refuses to run as root: then it is the user of Debian's package, in a folder of its
# own, for that user does not reach those of the tests. It goes with the shell that
# started it, should that be killed.

postgres_bin() { find /usr/lib/postgresql -path "*/bin/$1" 2>/dev/null | sort -V | tail -n 1; }

# In a subshell: it is that one's last.
as_postgres() {
    if [ "$(id -u)" -ne 0 ]; then
        exec setpriv --pdeathsig INT "$@"
    else
        exec setpriv --reuid postgres --regid postgres --clear-groups --pdeathsig INT "$@"
    fi
}

postgres_start() {
    postgres_home=$(mktemp -d /tmp/lifeboat-postgres.XXXXXX)
    [ "$(id -u)" -ne 0 ] || chown postgres: "$postgres_home"
    chmod 711 "$postgres_home"
    echo rescue >"$postgres_home/password"
    (cd / && as_postgres "$(postgres_bin initdb)" -D "$postgres_home/data" -U keeper -N -E UTF8 --locale C.UTF-8 \
        --auth-local trust --auth-host scram-sha-256 --pwfile "$postgres_home/password" </dev/null) \
        >"$postgres_home/said" 2>&1 || { cat "$postgres_home/said" >&2 && return 1; }
    export PGHOST=$postgres_home PGUSER=keeper PGDATABASE=postgres PGPORT postgres postgres_home
    # The port may be another's; then the server leaves at once.
    for PGPORT in $(shuf -n 20 -i 20000-32000); do
        postgres_serve
        wait_until 30 postgres_speaks || return
        ! kill -0 "$postgres" 2>/dev/null || return 0
    done
    cat "$postgres_home/said" >&2
    return 1
}

# 3 is bats' own: it would wait for the server.
postgres_serve() {
    (cd / && as_postgres "$(postgres_bin postgres)" -D "$postgres_home/data" -k "$postgres_home" -p "$PGPORT" \
        -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=16MB -c max_connections=20 \
        -c autovacuum=off -c jit=off </dev/null >"$postgres_home/said" 2>&1 3>&-) &
    postgres=$!
}
postgres_speaks() { psql -Xqc '' 2>/dev/null || ! kill -0 "$postgres" 2>/dev/null; }

postgres_end() {
    [ -z "${postgres-}" ] || { kill -INT "$postgres" 2>/dev/null && wait "$postgres"; } || :
    rm -rf "${postgres_home:?}"
}

pg() { psql -XAtq -v ON_ERROR_STOP=1 -c "$1"; }

#!/bin/bash
# compare-lift.sh LIFTBRIDGE_BIN WEIR_BIN [WORKLOAD...]
# Runs cmd/wlift against the two in turn (A B A B ...), a fresh server and store for
# every run, and prints min/median/max of each and the ratio b/a of the medians. The
# peer is Liftbridge 1.9.0 with NATS in its process; ours is as it is by default.
# Environment: RUNS (5) DUR (3s) STORED (500000) PORT (14840, and the next two) TMP
# (the stores' disk) OUT (a file that keeps a line for each run) BENCH_BIN.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 LIFTBRIDGE_BIN WEIR_BIN [WORKLOAD...]" >&2; exit 2; }
a=$(realpath "$(command -v "$1")") b=$(realpath "$(command -v "$2")")
shift 2
[ $# -gt 0 ] || set -- sync-1 sync-64 unary-1 unary-64 async-1 async-4 subscribe raw-1 raw-64 raw-async-1 raw-async-4 raw-subscribe
here=$(cd "$(dirname "$0")" && pwd)
bin=${BENCH_BIN:-${TMPDIR:-/tmp}/weir-bench} port=${PORT:-14840}
mkdir -p "$bin"
(cd "$here" && go build -o "$bin/wlift" ./cmd/wlift)
dir=$(mktemp -d "${TMP:-${TMPDIR:-/tmp}}/wlift.XXXXXX")
server=
trap '[ -z "$server" ] || kill -9 "$server" 2>/dev/null || true; rm -rf "$dir"' EXIT

# start A|B: a server with an empty store; $server is its process.
start() {
	rm -rf "$dir/store" && mkdir "$dir/store"
	if [ "$1" = A ]; then
		printf 'host: 127.0.0.1\nport: %d\ndata.dir: %s\nlogging.level: error\nnats:\n  embedded: true\n  embedded.config: %s\n  servers: ["nats://127.0.0.1:%d"]\nclustering:\n  server.id: a\n  raft.bootstrap.seed: true\n' \
			"$port" "$dir/store" "$dir/nats.conf" $((port + 1)) >"$dir/a.yaml"
		printf 'listen: "127.0.0.1:%d"\n' $((port + 1)) >"$dir/nats.conf"
		"$a" -c "$dir/a.yaml" >"$dir/log" 2>&1 &
	else
		printf 'listen: "127.0.0.1:%d"\njetstream { store_dir: "%s" }\nliftbridge { listen: "127.0.0.1:%d" }\n' \
			$((port + 1)) "$dir/store" "$port" >"$dir/b.conf"
		"$b" -c "$dir/b.conf" >"$dir/log" 2>&1 &
	fi
	server=$!
	for _ in $(seq 100); do
		kill -0 "$server" 2>/dev/null || break
		# Ready is who can make a stream: the peer has to elect itself first.
		if "$bin/wlift" --addr "127.0.0.1:$port" --runs 1 --dur 1ms sync-1 >/dev/null 2>&1; then return; fi
		sleep 0.2
	done
	echo "$0: $1 does not serve:" >&2
	tail -5 "$dir/log" >&2
	exit 1
}

# once A|B WORKLOAD: a line "side workload measure value" for each measure.
once() {
	start "$1"
	"$bin/wlift" --addr "127.0.0.1:$port" --pid "$server" --runs 1 --dur "${DUR:-3s}" --stored "${STORED:-500000}" "$2" |
		awk -F ' [|] ' -v side="$1" '/^[a-z-]+[0-9]* [|] / && $1 != "workload" { split($3, v, " / "); gsub(/ /, "-", $2); print side, $1, $2, v[2] }'
	kill "$server" && wait "$server" 2>/dev/null || true
	server=
}

for w in "$@"; do
	for _ in $(seq "${RUNS:-5}"); do
		for side in A B; do once $side "$w" | tee -a "$dir/all"; done
	done
done >"${OUT:-/dev/null}"

sort -k2,2 -k3,3 -k1,1 -k4,4g "$dir/all" | awk '
	BEGIN { print "workload | measure | a: min/median/max | b: min/median/max | b/a\n---|---|---|---|---" }
	function flush() {
		if (n == 0) return
		text = v[1] " / " (m = v[int((n + 1) / 2)]) " / " v[n]
		if (side == "A") { a = text; am = m } else printf "%s | %s | %s | %s | %.2f\n", w, what, a, text, am ? m / am : 0
		n = 0
	}
	{ if ($1 != side || $2 != w || $3 != what) flush(); side = $1; w = $2; what = $3; v[++n] = $4 }
	END { flush() }'

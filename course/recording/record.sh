#!/bin/sh
# Records what the kernel does while move_own_pages moves its pages, as text that `python -m sim recorded` reads.
# Needs root and a kernel of 5.10 or newer.  See README.md in this folder for what to expect.
set -eu

usage() {
    cat <<'END'
usage: record.sh [--with TOOL] [--section NAME] [-o FILE] [--dry-run] -- [OPTION OF move_own_pages]...

  --with TOOL     tracefs (no tool is needed), graph (the same with function_graph), trace-cmd or bpftrace;
                  left away: trace-cmd if it is installed, else tracefs
  --section NAME  the name of this recording within the file (recording)
  -o FILE         where to; an existing file is added to (recording.txt)
  --dry-run       say what would be recorded, and change nothing

For example:  sudo sh record.sh -o mine.txt --section spin -- --pages 4 --spin 3
              python -m sim recorded mine.txt
END
}
fail() { echo "record.sh: $*" >&2; exit 3; }
misused() { echo "record.sh: $*: see --help" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
tool= section=recording out=recording.txt dry=
while [ $# -gt 0 ]; do
    case $1 in
        --with|--section|-o) [ $# -gt 1 ] || misused "$1 lacks its value" ;;
    esac
    case $1 in
        --with) tool=$2; shift 2 ;;
        --section) section=$2; shift 2 ;;
        -o) out=$2; shift 2 ;;
        --dry-run) dry=yes; shift ;;
        --help) usage; exit 0 ;;
        --) shift; break ;;
        *) misused "'$1' is no option" ;;
    esac
done
case $section in *[!A-Za-z0-9_]*|'') misused "--section '$section': letters, digits and _ only" ;; esac
if [ -z "$tool" ]; then
    if command -v trace-cmd >/dev/null; then tool=trace-cmd; else tool=tracefs; fi
fi
case $tool in tracefs|graph|trace-cmd|bpftrace) ;; *) misused "--with $tool: tracefs, graph, trace-cmd or bpftrace" ;; esac

# What tells of a migration: sim/analysis/recorded.py counts these calls, the others say what happens around them.
functions="
    try_to_migrate try_to_migrate_one try_to_unmap try_to_unmap_one rmap_walk rmap_walk_anon
    folio_lock_anon_vma_read page_lock_anon_vma_read down_read down_read_trylock up_read
    migrate_pages migrate_pages_batch migrate_pages_sync migrate_folio_move move_to_new_folio move_to_new_page
    remove_migration_ptes remove_migration_pte folio_copy folio_mc_copy migrate_page_copy
    flush_tlb_mm_range arch_tlbbatch_flush try_to_unmap_flush flush_tlb_func
    migration_entry_wait migration_entry_wait_on_locked
"
events="tlb:tlb_flush migrate:mm_migrate_pages migrate:set_migration_pte migrate:remove_migration_pte
    sched:sched_switch exceptions:page_fault_user lock:contention_begin lock:contention_end"

if [ -n "$dry" ]; then
    echo "would record with $tool, as section $section of $out:"
    echo "  functions:" $functions
    echo "  events:" $events
    echo "  while this runs: $here/move_own_pages --mark $*"
    exit 0
fi

[ "$(id -u)" = 0 ] || fail "root is needed to record the kernel: sudo sh $0 ..., or --dry-run"
program=$here/move_own_pages
if [ ! -x "$program" ]; then
    command -v gcc >/dev/null || fail "$program is not built, and there is no gcc: apt-get install gcc libc6-dev"
    gcc -O2 -Wall -Wextra -pthread -o "$program" "$program.c"
fi
tracing=/sys/kernel/tracing
[ -e $tracing/trace ] || mount -t tracefs none $tracing 2>/dev/null || tracing=/sys/kernel/debug/tracing
[ -e $tracing/trace ] || fail "no tracefs: the kernel was built without tracing, or this is a container"
(echo 0 >$tracing/tracing_on) 2>/dev/null || fail "this kernel lets nobody record it: $tracing cannot be written to"
have() { grep -q "^$1\( \[\|\$\)" $tracing/available_filter_functions; }

case $tool in
    trace-cmd|bpftrace) command -v $tool >/dev/null || fail "no $tool: apt-get install $tool, or --with tracefs" ;;
esac
there=
for it in $events; do
    if [ -e "$tracing/events/$(echo "$it" | tr : /)/enable" ]; then there="$there $it"; fi
done
raw=$(mktemp)
code=0

clear_tracefs() {
    echo 0 >$tracing/tracing_on
    echo nop >$tracing/current_tracer
    : >$tracing/set_ftrace_filter
    echo >$tracing/set_event
}

with_tracefs() {
    [ "$(cat $tracing/current_tracer)" = nop ] || fail "somebody else is tracing: $(cat $tracing/current_tracer)"
    trap 'clear_tracefs 2>/dev/null; rm -f "$raw"' EXIT
    clear_tracefs
    for it in $functions; do if have "$it"; then echo "$it" >>$tracing/set_ftrace_filter; fi; done
    echo mono >$tracing/trace_clock
    echo 16384 >$tracing/buffer_size_kb
    if [ $tool = graph ]; then
        echo function_graph >$tracing/current_tracer
        for it in funcgraph-abstime funcgraph-proc; do echo 1 >$tracing/options/$it; done
    else
        echo function >$tracing/current_tracer
    fi
    for it in $there; do echo "$it" >>$tracing/set_event; done
    : >$tracing/trace
    echo 1 >$tracing/tracing_on
    "$program" --mark "$@" || code=$?
    echo 0 >$tracing/tracing_on
    cat $tracing/trace >"$raw"
}

with_trace_cmd() {
    set -- "$program" --mark "$@"
    for it in $there; do set -- -e "$it" "$@"; done
    for it in $functions; do if have "$it"; then set -- -l "$it" "$@"; fi; done
    trap 'rm -f "$raw" "$raw.dat"' EXIT
    trace-cmd record -q -C mono -b 16384 -o "$raw.dat" -p function "$@" || code=$?
    trace-cmd report -i "$raw.dat" >"$raw"
}

# One line an event, its nanoseconds first, since bpftrace does not print them in order of time.  Only between the marks:
# down_read is called everywhere, and what is printed faster than it is read gets lost.
with_bpftrace() {
    trap 'rm -f "$raw" "$raw.bt" "$raw.out"' EXIT
    about='"%lu\t%s-%d [%03d] .....\t' who='nsecs, comm, tid, cpu'
    {
        echo "uprobe:$program:mark { @on = strncmp(str(arg1), \"BEGIN\", 5) == 0;"
        echo "    printf(${about}tracing_mark_write: %s\\n\", $who, str(arg1)); }"
        for it in $functions; do
            if have "$it"; then
                echo "kprobe:$it /@on/ { printf($about$it <-%s\\n\", $who, ksym(*(uint64*)reg(\"sp\"))); }"
            fi
        done
        for it in '1 remote shootdown' '2 local shootdown' '3 local mm shootdown' '4 remote ipi send'; do
            said="tlb_flush: pages:%d reason:${it#* } (${it%% *})"
            echo "tracepoint:tlb:tlb_flush /@on && args->reason == ${it%% *}/ { printf($about$said\\n\", $who, args->pages); }"
        done
        for it in '== 0 R' '!= 0 S'; do
            said="sched_switch: prev_comm=%s prev_state=${it##* } ==> next_comm=%s next_pid=%d"
            echo "tracepoint:sched:sched_switch /@on && args->prev_state ${it% *}/"
            echo "    { printf($about$said\\n\", $who, args->prev_comm, args->next_comm, args->next_pid); }"
        done
        echo "tracepoint:exceptions:page_fault_user /@on/"
        echo "    { printf(${about}page_fault_user: address=0x%lx\\n\", $who, args->address); }"
        echo "END { clear(@on); }"
    } >"$raw.bt"
    BPFTRACE_PERF_RB_PAGES=1024 bpftrace -q -c "$program $*" "$raw.bt" >"$raw.out" || code=$?
    sort -n "$raw.out" | awk -F '\t' 'NF == 3 { printf "%s %d.%09d: %s\n", $2, int($1 / 1e9), $1 % 1e9, $3 }
        /^Lost [0-9]+ events/ { print }
        NF == 1 && !/^Lost/ { print > "/dev/stderr" }' >"$raw"
}

trap 'rm -f "$raw"' EXIT
trap 'exit 130' INT TERM
case $tool in
    tracefs|graph) with_tracefs "$@" ;;
    trace-cmd) with_trace_cmd "$@" ;;
    bpftrace) with_bpftrace "$@" ;;
esac
[ "$code" != 2 ] && [ "$code" != 3 ] || fail "nothing was moved, and nothing is written"
{
    echo "# Linux $(uname -r), recorded with $tool: move_own_pages $*"
    echo "# ===== SECTION $section"
    cat "$raw"
} >>"$out"
echo "record.sh: $(wc -l <"$raw") lines in section $section of $out"
exit "$code"

#!/usr/bin/env bash
# Runs jobs on a Slurm cluster: a controller and three nodes on this machine, each node in its own
# process namespace. Kills a node, only its slurmd (so that its task goes on beside the task's
# replacement), the controller, and the node of the task that finishes the job.
# Needs root. Installs slurm-wlm and munge (Debian) if they are missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

skip() {
    echo "slurm: skipped, because $1"
    exit 0
}
[[ $EUID -eq 0 ]] || skip "nodes need root, for namespaces of their own"
export PATH="$PATH:/usr/sbin:/sbin"
if ! command -v slurmd > /dev/null || ! command -v munged > /dev/null; then
    command -v apt-get > /dev/null || skip "Slurm is not installed"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge > /dev/null
fi
unshare --pid --uts --fork --mount-proc true 2> /dev/null || skip "there are no namespaces here"

program=${CRYPTSTREAM:-}
if [[ -z $program ]]; then
    cargo build --quiet --package cryptstream
    program=${CARGO_TARGET_DIR:-target}/debug/cryptstream
fi
program=$(realpath "$program")

top=$(mktemp -d /tmp/cryptstream-slurm.XXXXXX)
# munge wants to be reached by all users.
chmod 711 "$top"
mkdir "$top/bin" "$top/state" "$top/log" "$top/test"
declare -A nodes=()
controller=
stop() {
    local status=$?
    # The namespace of a node ends with it, and with that all its tasks.
    for pid in "${nodes[@]}" $controller; do
        kill -KILL "$pid" 2> /dev/null || true
        wait "$pid" 2> /dev/null || true
    done
    [[ ! -e $top/munged.pid ]] || kill "$(cat "$top/munged.pid")" || true
    if [[ $status -ne 0 ]]; then
        echo "slurm: failed; the logs:"
        tail -n 40 "$top"/log/* "$top"/test/slurm-*.out || true
    fi
    rm -rf "$top"
    exit "$status"
}
trap stop EXIT
trap 'exit 143' INT TERM

# ---- The cluster ----

# Three ports for the nodes and one for the controller that nobody listens on.
base=$(python3 -c '
import random, socket
while True:
    base = random.randrange(20000, 30000)
    try:
        for port in range(base, base + 4):
            with socket.socket() as one:
                one.bind(("127.0.0.1", port))
        print(base)
        break
    except OSError:
        pass')
host=$(hostname -s)
cat > "$top/slurm.conf" << END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$base
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# How long a task that is run again waits.
AuthInfo=socket=$top/munge.socket,cred_expire=5
SlurmctldPidFile=$top/slurmctld.pid
SlurmdPidFile=$top/slurmd-%n.pid
SlurmdSpoolDir=$top/spool-%n
StateSaveLocation=$top/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
# A node is lost if it is silent for so many seconds.
SlurmdTimeout=6
MessageTimeout=5
KillWait=5
ReturnToService=2
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=2
NodeName=n[1-3] NodeHostname=$host NodeAddr=127.0.0.1 Port=[$((base + 1))-$((base + 3))] CPUs=2
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF=$top/slurm.conf

head -c 64 /dev/urandom > "$top/munge.key"
chmod 600 "$top/munge.key"
munged --force --key-file="$top/munge.key" --socket="$top/munge.socket" \
    --pid-file="$top/munged.pid" --log-file="$top/log/munged" --seed-file="$top/munged.seed"

start_controller() {
    slurmctld -D -f "$SLURM_CONF" >> "$top/log/slurmctld" 2>&1 &
    controller=$!
}

# Starts a node, with its own name and processes.
start_node() {
    unshare --pid --uts --fork --kill-child --mount-proc bash -c "
        hostname $1
        slurmd -D -f '$SLURM_CONF' -N $1 &
        while :; do sleep 1000; done" >> "$top/log/$1" 2>&1 &
    nodes[$1]=$!
}

# Ends a node and everything that runs on it, at once.
lose_node() {
    kill -KILL "${nodes[$1]}"
    # Without bash's message about it.
    wait "${nodes[$1]}" 2> /dev/null || true
}

# Waits until a command succeeds.
wait_until() {
    local what=$1
    shift
    for _ in {1..900}; do
        if "$@" > /dev/null 2>&1; then
            return
        fi
        sleep 0.1
    done
    echo "slurm: in vain: $what"
    squeue --array || true
    sinfo || true
    exit 1
}

is_idle() {
    [[ $(sinfo --noheader --Node --format=%N:%T | grep -c ':idle$') -eq 3 ]]
}

start_controller
for node in n1 n2 n3; do
    start_node "$node"
done

# ---- The jobs ----

cd "$top/test"
"$program" keygen -o key 2> /dev/null
"$program" keygen -y key > key.pub
mkdir src src/a src/empty
for number in {1..24}; do
    head -c $((number * 100000)) /dev/urandom > "src/a/file $number"
done
head -c 8000000 /dev/urandom > src/large
ln -s a/file\ 1 src/link
chmod 750 src/a

# A program that holds its first run of shard 0, or of finish, when it has begun, and continues it
# when a file says so. The test kills what it is held on.
cat > "$top/bin/held" << 'END'
#!/bin/bash
# $JOB, the folder; $HOLD, the action to hold.
"$PROGRAM" "$@" &
task=$!
trap 'kill -TERM $task' TERM
if [[ " $* " == *" job $HOLD "* && ( $HOLD == finish || " $* " == *" 0/4 "* ) ]] &&
    mkdir "$JOB.held" 2> /dev/null; then
    until [[ $HOLD == finish ]] || compgen -G "$JOB/receipts/00000-*" > /dev/null; do
        sleep 0.01
    done
    kill -STOP $task
    echo "$SLURMD_NODENAME" > "$JOB.held/node.new"
    mv "$JOB.held/node.new" "$JOB.held/node"
    until [[ -e $JOB.held/continue ]]; do
        sleep 0.1
    done
    kill -CONT $task
    wait $task
    echo $? > "$JOB.held/status"
    exit "$(cat "$JOB.held/status")"
fi
wait $task
END
chmod +x "$top/bin/held"

plan() {
    "$program" --quiet job plan -R key.pub src "$1.copy" --job "$1" --shards 4
}

# submit JOB ACTION: with the first run of the action held.
submit() {
    JOB=$top/test/$1 HOLD=$2 PROGRAM=$program "$program" job submit --engine slurm --job "$1" \
        --program "$top/bin/held"
}

is_finished() {
    [[ -e $1/finished.json ]]
}

# The copy is complete, and has nothing else, such as a temporary.
compare() {
    wait_until "$1 is finished" is_finished "$1"
    "$program" --quiet decrypt -i key "$1.copy" "$1.again"
    diff --recursive --no-dereference src "$1.again"
    diff <(cd src && find . -printf '%y %m %P\n' | sort) \
        <(cd "$1.again" && find . -printf '%y %m %P\n' | sort)
    [[ $(find "$1.copy" | wc -l) -eq $(find src | wc -l) ]]
    "$program" --quiet job finish --job "$1"
    echo "slurm: $1: complete after $((SECONDS - begun)) s"
}

# The node that something is held on.
held() {
    wait_until "$1 is held" test -e "$1.held/node"
    cat "$1.held/node"
}

wait_until "three nodes" is_idle

begun=$SECONDS
plan plain
"$program" job submit --engine slurm --job plain
compare plain

# A node is lost, with everything on it.
begun=$SECONDS
plan node
submit node run
node=$(held node)
lose_node "$node"
compare node
[[ ! -e node.held/status ]]
start_node "$node"
wait_until "three nodes" is_idle

# Only its slurmd dies: the task is run again elsewhere while the first one goes on.
begun=$SECONDS
plan zombie
submit zombie run
node=$(held zombie)
pkill -KILL --parent "$(pgrep --parent "${nodes[$node]}")" slurmd
two_attempts() {
    [[ $(find zombie/receipts -name '00000-*' | wc -l) -ge 2 ]]
}
wait_until "a second attempt" two_attempts
touch zombie.held/continue
compare zombie
wait_until "the first attempt has ended" test -e zombie.held/status
[[ $(cat zombie.held/status) -eq 0 ]]
lose_node "$node"
start_node "$node"

# The controller dies while shards run, and comes back.
begun=$SECONDS
wait_until "three nodes" is_idle
plan controller
submit controller run
held controller > /dev/null
# It saves what was submitted only some seconds later.
saved() {
    [[ $top/state/job_state -nt controller.held/node ]]
}
wait_until "the state of the controller is saved" saved
kill -KILL "$controller"
wait "$controller" 2> /dev/null || true
touch controller.held/continue
wait_until "the shard has ended" test -e controller.held/status
start_controller
compare controller
[[ $(find controller/receipts -name '00000-*' | wc -l) -eq 1 ]]

# The node of the task that finishes the job is lost.
begun=$SECONDS
wait_until "three nodes" is_idle
plan finish
submit finish finish
node=$(held finish)
lose_node "$node"
compare finish
echo "slurm: passed in $SECONDS s"

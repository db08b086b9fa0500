# Shell functions that quickstart and test share: numbered steps, quiet unless they fail, with their time.
step_number=0
# Steps run in the background, where a shell's children do not hear Ctrl-C: it is passed on to all of them.
trap 'trap - INT; printf "\n"; kill -TERM 0' INT
say() { printf '%s\n' "$*"; }

# step TITLE COMMAND...: runs quietly with a ticking clock on a terminal; on failure prints the end of the log.
step() {
  local title=$1 log start status=0
  shift
  step_number=$((step_number + 1))
  log=$(mktemp)
  start=$SECONDS
  printf '[%d/%d] %s ' "$step_number" "$total" "$title"
  "$@" >"$log" 2>&1 &
  local pid=$! progress every=60 left=0
  [ ! -t 1 ] || every=1
  # A terminal's line is written again each second; a log gets a line each minute, so that a watcher sees it live.
  while kill -0 "$pid" 2>/dev/null; do
    left=$((left + 1))
    if [ $((left % every)) -eq 0 ]; then
      progress=$(grep -oE '^\[[0-9]+/[0-9]+\]' "$log" 2>/dev/null | tail -n 1 || true)
      if [ -t 1 ]; then
        printf '\r[%d/%d] %s %s %ds ' "$step_number" "$total" "$title" "$progress" $((SECONDS - start))
      else
        printf '\n      %s %ds ' "$progress" $((SECONDS - start))
      fi
    fi
    sleep 1
  done
  wait "$pid" || status=$?
  [ ! -t 1 ] || printf '\r\033[K[%d/%d] %s ' "$step_number" "$total" "$title"
  if [ "$status" -ne 0 ]; then
    printf 'FAILED after %ds\n' $((SECONDS - start))
    tail -n 60 "$log" >&2
    rm -f "$log"
    exit "$status"
  fi
  printf '%ds\n' $((SECONDS - start))
  rm -f "$log"
}

# show TITLE COMMAND...: a step whose output is the point.
show() {
  local title=$1
  shift
  step_number=$((step_number + 1))
  printf '[%d/%d] %s\n\n' "$step_number" "$total" "$title"
  "$@"
  printf '\n'
}

# build PRESET [TARGET...]: configures once, then builds.
build() {
  local preset=$1
  shift
  cmake --preset "${preset/#system/release}"
  cmake --build --preset "$preset" ${1:+--target "$@"}
}

# run_platform VEDETTE HOME FILE STARTED: up, upload and analyse, list; stops what it started.
run_platform() {
  local vedette=$1 home=$2 file=$3 started=$4
  export VEDETTE_HOME=$home
  if [ "$started" = 1 ]; then
    # The names are gone when the trap runs, so it holds their values.
    trap "'$vedette' down --home '$home' >/dev/null 2>&1 || true" EXIT
    "$vedette" up --home "$home" --quiet
  fi
  "$vedette" upload "$file" --analyze --ignore-columns label --home "$home"
  "$vedette" anomalies list --home "$home" --page-size 5
}

# quiet_ctest ARGS...: runs ctest and shows its summary, or everything that failed.
quiet_ctest() {
  local log status=0
  log=$(mktemp)
  ctest "$@" >"$log" 2>&1 || status=$?
  if [ "$status" -eq 0 ]; then
    grep -E '^(100|[0-9]+)% tests passed|^Total Test time' "$log" || tail -n 3 "$log"
  else
    cat "$log"
  fi
  rm -f "$log"
  return "$status"
}

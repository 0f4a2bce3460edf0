#!/usr/bin/env bash
# The Python package: builds the wheel, installs it into empty environments without Rust, and
# tests it there: with the oldest and the newest Python that are there and supported.
# `ci/wheel.sh release` builds it as it is shipped, which takes much longer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profile=dev
[ "${1:-}" = release ] && profile=wheel
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target} PIP_DISABLE_PIP_VERSION_CHECK=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Every Python from 3.10 on, of the system and of pyenv, the oldest first.
pythons=$({
    for program in /usr/bin/python3.[0-9][0-9] /usr/local/bin/python3.[0-9][0-9] \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3; do
        [ -x "$program" ] || continue
        "$program" -c 'import ensurepip, sys, venv
if sys.version_info >= (3, 10):
    print("%03d" % sys.version_info[1], sys.executable)' 2>/dev/null || true
    done
} | sort -u -k1,1)
if [ -z "$pythons" ]; then
    echo "ci/wheel.sh: skipped, since there is no Python 3.10 or later with venv" >&2
    exit 0
fi
oldest=$(head -n 1 <<<"$pythons" | cut -d' ' -f2)
newest=$(tail -n 1 <<<"$pythons" | cut -d' ' -f2)
[ "$oldest" = "$newest" ] && echo "only one Python is here: $newest"

echo "== building the wheel ($profile)"
"$newest" -m venv "$folder/build"
"$folder/build/bin/pip" install --quiet 'maturin>=1.8,<2' auditwheel
PATH="$folder/build/bin:$PATH" CRYPTSTREAM_WHEEL_PROFILE=$profile "$folder/build/bin/pip" wheel \
    --quiet --no-build-isolation --no-deps --wheel-dir "$folder/wheels" ./python
wheel=$(echo "$folder"/wheels/*.whl)
"$folder/build/bin/auditwheel" show "$wheel" | tee "$folder/audit"
grep -q 'manylinux_' "$folder/audit"

for python in $(printf '%s\n' "$oldest" "$newest" | uniq); do
    "$python" --version
    environment=$folder/$(basename "$(dirname "$(dirname "$python")")")-$RANDOM
    "$python" -m venv "$environment"
    "$environment/bin/pip" install --quiet pytest mypy typing_extensions \
        'fsspec>=2025.10' numpy pandas pyarrow pyrage requests tqdm
    "$environment/bin/pip" install --quiet --no-index --no-deps "$wheel"
    # Nothing of Rust, and only the environment's own programs.
    export PATH="$environment/bin:/usr/bin:/bin"
    ! command -v cargo rustc
    (
        cd "$folder"
        test "$(command -v cryptstream)" = "$environment/bin/cryptstream"
        cryptstream --version
        package=$(python -c 'import cryptstream, os; print(os.path.dirname(cryptstream.__file__))')
        env --default-signal python -m pytest -q -p no:cacheprovider "$OLDPWD/python/tests"
        python -m pytest -q -p no:cacheprovider --doctest-modules \
            -o doctest_optionflags="ELLIPSIS IGNORE_EXCEPTION_DETAIL" "$package"
        python "$OLDPWD/ci/leaks.py"
        [ "$python" != "$newest" ] || python -m mypy --config-file "$OLDPWD/python/pyproject.toml" \
            --cache-dir "$folder/mypy" -p cryptstream
    )
done
echo "the wheel is good"

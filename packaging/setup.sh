#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs what a developer's machine lacks: Debian packages as root, Python packages into .venv.
#
#   packaging/setup.sh python     the virtual environment (and python3-venv where it is missing)
#   packaging/setup.sh host       also the packages that tests and the lab need
set -eu
cd "$(dirname "$0")/.."

say() { printf '[setup] %s\n' "$*"; }

install_packages() {
	missing=
	for package in "$@"; do
		dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
			missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" != 0 ]; then
		say "missing packages:$missing"
		say "run as root, or: sudo apt-get install$missing"
		exit 1
	fi
	say "installing$missing"
	log=$(mktemp)
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086
	if ! { apt-get -q -o DPkg::Lock::Timeout=300 update &&
		apt-get -qy -o DPkg::Lock::Timeout=300 install --no-install-recommends $missing; } >"$log" 2>&1; then
		tail -20 "$log" >&2
		say "apt-get failed; its output is above"
		exit 1
	fi
	rm -f "$log"
}

python_packages() {
	stamp=.venv/.made-from
	wanted=$(sha256sum pyproject.toml)
	[ "$(cat $stamp 2>/dev/null)" = "$wanted" ] && [ -x .venv/bin/python ] && return 0
	python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
	say "making .venv"
	[ -x .venv/bin/python ] || python3 -m venv .venv
	# the dependencies only: the project runs from its tree
	.venv/bin/python - >.venv/requirements.txt <<'END'
try:
    import tomllib as tomli
except ModuleNotFoundError:  # Python 3.10
    from pip._vendor import tomli
project = tomli.load(open("pyproject.toml", "rb"))["project"]
print("\n".join(project["dependencies"] + project["optional-dependencies"]["dev"]))
END
	.venv/bin/python -m pip install -q --disable-pip-version-check -r .venv/requirements.txt
	printf '%s\n' "$wanted" >$stamp
}

case "${1:-}" in
python) python_packages ;;
host)
	# shellcheck disable=SC2046
	install_packages $(sed 's/#.*//' packaging/host-packages.txt)
	python_packages
	;;
*)
	say "usage: packaging/setup.sh python|host"
	exit 2
	;;
esac

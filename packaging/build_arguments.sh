# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by build_deb.sh and build_rpm.sh, whose arguments are [-v VERSION] [FOLDER]. Sets top, version (empty for the
# one of the tree) and folder; `default` is FOLDER's below build/.
set -eu
umask 022
top=$(cd "$(dirname "$0")/.." && pwd)
version=
while getopts v: option; do
	case $option in
	v) version=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
folder=${1:-$top/build/$default}

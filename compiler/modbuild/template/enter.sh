#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs a command inside the root directory of another system:
#   enter.sh ROOT SHARED FOLDER COMMAND...
# SHARED, a directory outside, is /mnt inside. The caller gives the script a mount namespace
# of its own, so nothing stays mounted.
set -e
root=$1 shared=$2 folder=$3
shift 3
mount --bind "$shared" "$root/mnt"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec chroot "$root" /bin/sh -c 'cd "$0" && exec "$@"' "$folder" "$@"

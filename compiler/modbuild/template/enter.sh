#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Run a command inside another system's root folder: enter.sh ROOT SHARED FOLDER COMMAND...
# SHARED, a folder outside, is /mnt inside. Runs in a mount namespace of its own: nothing stays mounted.
set -e
root=$1 shared=$2 folder=$3
shift 3
mount --bind "$shared" "$root/mnt"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec chroot "$root" /bin/sh -c 'cd "$0" && exec "$@"' "$folder" "$@"

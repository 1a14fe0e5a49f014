# SPDX-License-Identifier: GPL-2.0-or-later
"""What an event, a compile and a scrape cost, beside the peers: `make bench`."""

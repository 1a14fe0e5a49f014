# SPDX-License-Identifier: GPL-2.0-or-later
"""The cost of an event, a compile and a scrape, compared with the peers: `make bench`."""

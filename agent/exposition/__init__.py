# SPDX-License-Identifier: GPL-2.0-or-later
"""The exposition: globals to metric families, and families to the text or protobuf that Prometheus scrapes.

`families.py` plans what is exported, `samples.py` (text) and `wire_samples.py` (protobuf) have one class
per type of metric, and `render.py` makes the page with the cached pages of `page_cache.py`. This is the hot
path of a scrape. Code here reads tables through runtime.reader's types, and does no I/O.
"""

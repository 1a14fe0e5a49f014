# SPDX-License-Identifier: GPL-2.0-or-later
"""Listening and answering: addresses, connections, HTTP, TLS, users, and who may see which page.

`web_server.py` is what the daemon uses; `http_server.py` serves its answers to requests on the addresses that
`listeners.py` opens or systemd has opened; `web_config.py` follows the web configuration file. What an answer
says belongs in `daemon`. `page/` is what a browser runs over `/status` (docs/status.md), and
`page_files.py` serves it.
"""

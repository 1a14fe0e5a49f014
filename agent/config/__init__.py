# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration: YAML files to `Settings`, with all errors reported at their positions.

`settings.py` holds the records that all other rooms read; `schema.py`, `metric_schema.py` and
`load.py` check the files. This room imports no other room of the agent.
"""

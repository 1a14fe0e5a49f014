# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of a machine and of its operators, done to one running service under load: docs/reliability.md.

load.py         a program that counts the events it makes, and the scripts that count them
serving.py      starts them
scene.py        the service, the load, and a Prometheus that scrapes all the time; what a fault has cost
fault.py        one fault: what is done, what goes on, what may be lost, what is logged
processes.py    the agent, its children and CPUs are killed, stopped and stormed
files.py        disks, caches, folders, modules, the journal and the clock go wrong
clients.py      many scrapers, some of which stall
releases.py     other releases of stapwatch come and go
table.py        all faults, in the order in which they are done
document.py     docs/reliability.md, made of the faults and of what was seen

    python -m tests.system.reliability --update      does all faults, and writes the document
"""

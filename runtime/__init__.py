# SPDX-License-Identifier: GPL-2.0-or-later
"""The part that loaded modules and the agent share: the C of every module, and its reader in Python.

    kernel/   the C that is linked into each module        hosted/  the same C as a process, for tests
    abi/      structures and manifest of a module          events/  records that handlers write
    reader/   loading modules, reading tables and events   support/ helpers without any knowledge of modules

Nothing here imports the compiler or the agent.
"""

# SPDX-License-Identifier: GPL-2.0-or-later
"""The MESSAGE_ID of each kind of event that the agent logs; `systemd/stapwatch.catalog` explains them.

    log().info("script vfs is running", message_id=Message.SCRIPT_RUNNING, script="vfs")
    journalctl MESSAGE_ID=0f6d... ; journalctl -x

An id never changes its meaning. A new kind of event gets a new id: `systemd-id128 new`.
"""

from __future__ import annotations

from runtime.support.str_enum import StrEnum


class Message(StrEnum):
    STARTED = "e7628b85522044d9ac1806af9c042a2f"  # the agent serves its addresses
    READY = "29ff4b04bc5f45c6a8bbda44875db696"  # every script has reached a final state
    STOPPING = "c6ad9ea38ac84eedbf1ae5374222b986"  # the agent ends all scripts
    STOPPED = "c9727e047ac14df39bfe08090a68eac9"  # all modules are unloaded
    STOP_UNCLEAR = "0475e7b080864bf8b1f55f08aebb29a7"  # is it a stop or a restart? the modules stay
    SYSTEMCTL_FAILED = "db73784a5b42466ea29a9c79aca6f06b"  # the agent could not ask systemd
    AGENT_FAILED = "af6632c84e4445f9b9ec4622708b340e"  # a defect of the agent
    REQUEST_FAILED = "2e2f94ecd0324850920c683af2fd91d3"  # a defect of the agent, in one request
    CLIENT_REFUSED = (
        "e66a8ffbedf0458e8eedec5dbba35682"  # a client showed a certificate that is not let in
    )
    HOST_REFUSED = "ec4cbd5da9b444e6960e1ee39db9a909"  # a request named a host that this one is not
    NO_CONNECTIONS = "ba8a912310d541aa9900a9c773b903a5"  # the process can open no more files
    WEB_CONFIG_READ = "2736ab862d20489cba0a002f68ed65c9"  # certificates or users have changed
    NO_MODULES = "68da72fdf134466ea80b45f89782b8f8"  # this process cannot load modules
    SOCKET_UNUSED = (
        "e13cbaadd2604851a87ca897858d3151"  # nobody answers on a socket of stapwatch.socket
    )
    OFF = (
        "b195ffd3a2f446dbbc28ecbf380ef1c3"  # a switch of the operator's keeps all scripts unloaded
    )
    RELOADING = "2ba1706e3124414aa4a40725997a74ea"  # the configuration is read again
    RELOAD_REFUSED = (
        "643e1b7235ed4d79becc199aa5d84042"  # it is wrong; the one before it stays in force
    )
    RELOAD_INCOMPLETE = (
        "caeb135ff6e44191be7664a5648c655c"  # some of what was asked for is not in force
    )
    CONFIG_ERROR = "b5cf12d391564db69cc5d93f99b7b1e4"  # one error in the configuration
    CONFIG_WARNING = "410e3e792ed94280977d62ac2d8da465"  # something that is probably not meant
    SETTING_NOT_IN_FORCE = "6bbf23efb0bf4f34a90f0e3643868ad9"  # the setting before it stays
    SCRIPT_RUNNING = "76490209123a45f5ae342fbf79abbd33"  # a script, or its new version, runs
    SCRIPT_REMOVED = "e50a7fbc7f4646e585b91eaec7a01b6b"  # a script was taken out
    SCRIPT_COMPILE_ERROR = "7c7f337e43144879ac3d11f1a61af760"  # one error in a script
    SCRIPT_COMPILE_WARNING = "2bb75e33506d4e3fb123ebe3b777de96"  # one warning about a script
    SCRIPT_COMPILED_ANEW = (
        "8d69752951eb4b44be087053d1393e9c"  # its module in the cache could not serve
    )
    SCRIPT_FAILED = "0801551b0e214003a74564d9ed1f9ea0"  # a script could not be read or loaded
    SCRIPT_ENDED = "84fb7e594d5a41a885b0aaa98d125a9a"  # a script ended by itself
    SCRIPT_ERROR = "001e5674394a40c5ada529db0e5966e1"  # a handler failed
    SCRIPT_DISARMED = "8f0b15f278a648c3b7824fca4b63c98b"  # a script went over a budget
    SCRIPT_ARMED = "32886e6632354303832772f13bb74385"  # a script that was disarmed is armed again
    SCRIPT_NOT_ARMED = "169a1b9d89ee4cd1809a08083e644aec"  # it could not be armed again
    SCRIPT_PAUSED = (
        "329f84c27fce4612935be3f9c338ff18"  # the configuration wants it loaded and not armed
    )
    SCRIPT_DISARMED_BY_OPERATOR = "c27b967fa2884f51a2cdc566cdeeca86"  # stapwatch disarm
    SCRIPT_DECIDED = "c8b7371db7d44086a9f4ddab01e6063f"  # the rollout keeps a script off this host
    SCRIPT_QUARANTINED = (
        "833295b99e8245108139bcacc22c1d81"  # a script is not started until it changes
    )
    METRIC_PROBLEM = "fdc7b1538dfe4d66806c39f1779d5642"  # a global cannot be exported as declared
    SERIES_LEFT_OUT = "ed86f1ea0ba448be910325f8111956e4"  # a global has more series than its budget
    SERIES_SERVED = "dccce3292af94be68fb6a44d149d9ce8"  # a global that was left out is served again
    VALUES_LOST = (
        "18af07109e0b48009461fa8d701f79fb"  # a script was replaced more often than it was scraped
    )
    VALUES_NOT_KEPT = (
        "bf118217f7c94ea08502203e67eadc6d"  # keep: true could not be done for a global
    )
    MODULE_ADOPTED = (
        "942e34ce01a54772aefa978dd83c9d63"  # a module of an agent that died is in use again
    )
    MODULE_UNSAFE = (
        "ae7b3cf24f5c4ce8901fd633a63de954"  # a loaded module's release is known to be unsafe
    )
    MODULE_IGNORED = "f8c841a14ea64f85b902fe6bd0c6d000"  # a loaded module belongs to somebody else
    MODULE_REFUSED = (
        "24735f3225434ba99100088852ee1eb6"  # one of a store, or all of it, is not believed
    )
    MODULES_AVAILABLE = "5b0a3ce1d04b4be5b3a7d5d9a1e4c0f2"  # scripts that waited for modules run
    MODULE_UNLOADED = (
        "e7952ab4bebb46e8950c3a25e14af4cd"  # a module that no script wants was unloaded
    )
    MODULE_FAILED = (
        "9f9367d57fea4e0bbb00fe554962f3d6"  # a module could not be stopped, unloaded or adopted
    )
    LINES_LOST = "599e66a9bed7463cbf84d51fe21f03ce"  # the journal or the pipe was full
    LINES_DROPPED = "f9dc5fb4c06f474384f37d2b183cbbf5"  # a script logged more lines than its budget
    STATE_UNWRITABLE = "987b9b80ec954d588c75fecd45cd9860"  # the state folder cannot be written
    PRIVILEGED = "c1f2b7a4d0cb4d4f8d2d1d9a5e0f6b37"  # the agent loads modules itself, as root

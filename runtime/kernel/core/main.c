// SPDX-License-Identifier: GPL-2.0-or-later
/* main.c - loading and unloading: everything is allocated here, before a handler can run. */
#include "probes/hook.h"

static bool sw_trust;
module_param_named(trust, sw_trust, bool, 0400);
MODULE_PARM_DESC(trust, "load even if the running kernel's build-id cannot be read");

static int __init sw_module_init(void)
{
	int error;

	SW_CHECK_REGS();

	error = sw_build_id_check(sw_trust);
	if (error)
		return error;
	error = sw_symbols_find();
	if (error)
		goto no_region;
	error = sw_region_create();
	if (error)
		goto no_region;
	error = sw_rings_create();
	if (error)
		goto no_rings;
	error = sw_hooks_create();
	if (error)
		goto no_hooks;
	if (sw_script.init)
		sw_script.init(sw_shared);
	sw_control_sync();
	error = sw_device_create();
	if (error)
		goto no_device;
	return 0;

no_device:
	sw_hooks_destroy();
no_hooks:
	sw_rings_destroy();
no_rings:
	sw_region_destroy();
no_region:
	sw_log(KERN_ERR, "cannot be loaded: error %d", error);
	return error;
}

/* Nobody has the device open: an open file holds the module. */
static void __exit sw_module_exit(void)
{
	sw_device_destroy();
	sw_control_stop();
	sw_hooks_destroy();
	sw_rings_destroy();
	sw_region_destroy();
}

module_init(sw_module_init);
module_exit(sw_module_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("a probe script of stapwatch");
MODULE_INFO(stapwatch, "1");

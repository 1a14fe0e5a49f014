// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loading and unloading. Everything that handlers need is allocated here, before one
 * can run.
 */
#include "probes/hook.h"

static bool sw_trust;
module_param_named(trust, sw_trust, bool, 0400);
MODULE_PARM_DESC(trust, "load even if the running kernel's build-id cannot be read");

/*
 * Only user space reads and writes it: who wants the module when nothing reads it
 * (agent/scripts/kernel_modules.py has the values).
 */
static unsigned int sw_keeper;
module_param_named(keeper, sw_keeper, uint, 0600);
MODULE_PARM_DESC(keeper, "who keeps it loaded without a reader: 0 nobody, 1 its user, 2 the agent");

static int __init sw_module_init(void)
{
	int error;

	SW_CHECK_REGS();

	error = sw_build_id_check(sw_trust);
	if (error)
		return error;
	error = sw_symbols_find();
	if (error)
		goto err_log;
	error = sw_mapping_create();
	if (error)
		goto err_log;
	error = sw_budgets_create();
	if (error)
		goto err_destroy_mapping;
	error = sw_rings_create();
	if (error)
		goto err_destroy_budgets;
	error = sw_hooks_create();
	if (error)
		goto err_destroy_rings;
	sw_control_create();
	if (sw_script.init)
		sw_script.init(sw_shared);
	sw_control_sync();
	error = sw_device_create();
	if (error)
		goto err_destroy_hooks;
	return 0;

err_destroy_hooks:
	sw_hooks_destroy();
err_destroy_rings:
	sw_rings_destroy();
err_destroy_budgets:
	sw_budgets_destroy();
err_destroy_mapping:
	sw_mapping_destroy();
err_log:
	sw_log(KERN_ERR, "cannot be loaded: error %d", error);
	return error;
}

/*
 * The device is not open, because an open file holds the module. So only handlers and work
 * items run; sw_control_stop() ends the former.
 */
static void __exit sw_module_exit(void)
{
	sw_device_destroy();
	mutex_lock(&sw_control_mutex);
	sw_control_stop();
	mutex_unlock(&sw_control_mutex);
	sw_control_destroy();
	sw_hooks_destroy();
	sw_rings_destroy();
	sw_budgets_destroy();
	sw_mapping_destroy();
}

module_init(sw_module_init);
module_exit(sw_module_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("a probe script of stapwatch");
MODULE_INFO(stapwatch, "1");

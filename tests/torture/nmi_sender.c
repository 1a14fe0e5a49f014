// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes events in NMI context. A number that is written to the parameter `send` is that many NMIs, one after the
 * other, to the online CPUs in turn. Each NMI calls gcd() once, which nobody else calls.
 */
#include <linux/cpu.h>
#include <linux/gcd.h>
#include <linux/module.h>
#include <linux/nmi.h>
#include <linux/version.h>
#include <asm/apic.h>
#include <asm/nmi.h>

static DEFINE_PER_CPU(int, nmi_expected);
static DEFINE_MUTEX(nmi_mutex);
static unsigned long nmi_result;

static int nmi_handle_ours(unsigned int type, struct pt_regs *regs)
{
	if (!this_cpu_read(nmi_expected))
		return NMI_DONE;
	WRITE_ONCE(nmi_result, gcd(12, 18));
	this_cpu_write(nmi_expected, 0);
	return NMI_HANDLED;
}

/* The lock keeps the CPU online; it answers while others send. */
static void nmi_send(unsigned int cpu)
{
	int *expected = per_cpu_ptr(&nmi_expected, cpu);

	WRITE_ONCE(*expected, 1);
	smp_mb();
	apic->send_IPI_mask(cpumask_of(cpu), NMI_VECTOR);
	while (READ_ONCE(*expected))
		cpu_relax();
}

static int nmi_set_send(const char *text, const struct kernel_param *parameter)
{
	unsigned int n, cpu = 0;
	int error = kstrtouint(text, 0, &n);

	if (error)
		return error;
	mutex_lock(&nmi_mutex);
	while (n--) {
		cpus_read_lock();
		cpu = cpumask_next(cpu, cpu_online_mask);
		if (cpu >= nr_cpu_ids)
			cpu = cpumask_first(cpu_online_mask);
		nmi_send(cpu);
		cpus_read_unlock();
		cond_resched();
	}
	mutex_unlock(&nmi_mutex);
	return 0;
}

static const struct kernel_param_ops nmi_send_ops = { .set = nmi_set_send };
module_param_cb(send, &nmi_send_ops, NULL, 0200);

static int __init nmi_init(void)
{
	return register_nmi_handler(NMI_LOCAL, nmi_handle_ours, 0, "nmi_sender");
}

static void __exit nmi_exit(void)
{
	unregister_nmi_handler(NMI_LOCAL, "nmi_sender");
}

module_init(nmi_init);
module_exit(nmi_exit);
MODULE_DESCRIPTION("events in NMI context");
MODULE_LICENSE("GPL");

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x86_64_unsafe.h - code that the kernel copies or patches, or runs in a state in which it cannot
 * take a breakpoint. compiler/arch/x86_64.py has the same names.
 */
#ifndef STAPWATCH_ARCH_X86_64_UNSAFE_H
#define STAPWATCH_ARCH_X86_64_UNSAFE_H

/* Symbols at both ends of a section. */
#define SW_UNSAFE_SECTIONS(SECTION)                                                                \
	SECTION("__indirect_thunk_start", "__indirect_thunk_end")                                  \
	SECTION("__relocate_kernel_start", "__relocate_kernel_end")

/* Symbols that stand together; a kernel need not have all of them. */
#define SW_UNSAFE_AREAS(AREA)                                                                      \
	AREA("_text", "startup_64", "secondary_startup_64", "__startup_64", "early_setup_idt")     \
	AREA("__fentry__", "ftrace_caller", "ftrace_regs_caller", "ftrace_regs_caller_end",        \
	     "ftrace_stub_direct_tramp", "return_to_handler")                                      \
	AREA("arch_rethook_trampoline", "arch_rethook_trampoline_callback",                        \
	     "__kretprobe_trampoline")                                                             \
	AREA("relocate_kernel", "identity_mapped", "virtual_mapped", "swap_pages")                 \
	AREA("restore_registers", "swsusp_arch_suspend", "restore_image", "core_restore_code")     \
	AREA("wakeup_long64", "do_suspend_lowlevel")

#define SW_UNSAFE_PREFIXES "__x86_", "text_poke", "__text_poke", "smp_text_poke", "poke_int3"

#endif

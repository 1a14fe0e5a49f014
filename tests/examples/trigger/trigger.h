/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the trigger have in common. main.c says what each function does. */
#ifndef TRIGGER_H
#define TRIGGER_H

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096

void fail(const char *what);
void name(const char *text);

void vfs(const char *path, long reads, long writes);
void opens(long good, long bad);
void block(const char *path, long reads, long writes, long flushes);
void cached(const char *path, long pages);
void locks(const char *path, long n);

void connect_often(long port, long n);
void retransmit(long port);
void datagrams(long port, long n);
void dns(long answered, long silent);

void syscalls(long n);
void faults(long pages);
void switches(long n);
void refused(long n);
void hog(long mib);
void pipes(long n, long milliseconds);
void signals(long n);
void timers(long n);
void start(long processes, long threads, long programs);
void spin(long milliseconds);

#endif

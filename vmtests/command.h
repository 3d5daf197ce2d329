/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Programs of the host that a suite asks as a person would, and what they print.
 */
#pragma once

/* Runs ARGV, ended by NULL, found as a shell would find it, with INPUT (or NULL: nothing)
 * on its standard input, to its end. What it printed, up to a megabyte, in one of a few
 * static buffers; *STATUS is its exit status, 127 if there is no such program, 128 and
 * more if a signal ended it. */
const char *command_run(const char *const *argv, const char *input, int *status);
/* The same of one that is to succeed; fails the case with what it said if it does not. */
const char *command_output(const char *const *argv, const char *input);
/* Whether there is such a program. */
int command_exists(const char *name);

/* What xmllint finds in XML by the XPath expression of FORMAT; see command_output(). */
const char *
xml_find(const char *xml, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The numbers that the attributes have which the expression finds, in the order of the
 * document; returns how many, at most MAXIMUM. Those of elements and not of attributes
 * are for xml_find(). */
int xml_numbers(long *numbers, int maximum, const char *xml, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

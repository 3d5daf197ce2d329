/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The guest that proves that an accelerator runs guests. It is entered as a Multiboot
 * kernel (32 bits, no paging), turns paging and long mode on, counts in 64-bit registers
 * through page tables of its own, writes and reads an MSR, lets the local APIC's timer
 * interrupt a halted CPU, and only then writes ACCEL_GUEST_DONE to the debug-exit port.
 * An accelerator that can open and make CPUs but not run them fails somewhere on this
 * way.
 */
#include "accel-guest.h"

#if defined(__x86_64__)

/* Loaded at 1 MiB; the page tables, the IDT and the stack are in the half MiB after it.
 * The addresses are computed by the assembler, since the program runs where it was not
 * linked. */
__asm__(".pushsection .rodata.accel_guest, \"a\", @progbits\n"
        ".set BASE, 0x100000\n"
        ".set PML4, 0x180000\n"
        ".set PDPT, 0x181000\n"
        ".set PD_LOW, 0x182000\n"
        ".set PD_APIC, 0x183000\n"
        ".set IDT, 0x184000\n"
        ".set STACK, 0x18f000\n"
        ".balign 8\n"
        "accel_guest_begin:\n"
        /* Multiboot 0.6.96, 3.1: magic, flags (bit 16: addresses follow), checksum. */
        ".long 0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)\n"
        ".long BASE, BASE, BASE + (accel_guest_end - accel_guest_begin), STACK\n"
        ".long BASE + (entry32 - accel_guest_begin)\n"

        ".code32\n"
        "entry32:\n"
        "  cli\n"
        "  cld\n"
        "  movl $PML4, %edi\n" /* all tables zero */
        "  xorl %eax, %eax\n"
        "  movl $0x1800, %ecx\n"
        "  rep stosl\n"
        "  movl $(PDPT + 3), PML4\n"
        "  movl $(PD_LOW + 3), PDPT\n"
        "  movl $(PD_APIC + 3), PDPT + 24\n"
        "  movl $0x83, PD_LOW\n"                    /* the first 2 MiB */
        "  movl $0xfee0009b, PD_APIC + 8 * 0x1f7\n" /* the local APIC, uncached */
        "  movl %cr4, %eax\n"
        "  orl $0x20, %eax\n" /* PAE */
        "  movl %eax, %cr4\n"
        "  movl $PML4, %eax\n"
        "  movl %eax, %cr3\n"
        "  movl $0xc0000080, %ecx\n" /* EFER.LME */
        "  rdmsr\n"
        "  orl $0x100, %eax\n"
        "  wrmsr\n"
        "  lgdtl BASE + (gdt_pointer - accel_guest_begin)\n"
        "  movl %cr0, %eax\n"
        "  orl $0x80000001, %eax\n"
        "  movl %eax, %cr0\n"
        "  ljmpl $8, $(BASE + (entry64 - accel_guest_begin))\n"

        ".code64\n"
        "entry64:\n"
        "  movl $16, %eax\n"
        "  movl %eax, %ss\n"
        "  movl %eax, %ds\n"
        "  movl $STACK, %esp\n"
        /* 64-bit arithmetic, through memory: a million steps of an LCG (Knuth's MMIX). */
        "  movabsq $6364136223846793005, %r8\n"
        "  movabsq $1442695040888963407, %r9\n"
        "  xorl %ebx, %ebx\n"
        "  movl $1000000, %edi\n"
        "1: imulq %r8, %rbx\n"
        "  addq %r9, %rbx\n"
        "  pushq %rbx\n"
        "  popq %rbx\n"
        "  decl %edi\n"
        "  jnz 1b\n"
        "  movabsq $0x82f6e3747082ab40, %rax\n"
        "  cmpq %rax, %rbx\n"
        "  jne wrong\n"
        "  movl $0x80000001, %eax\n" /* CPUID says: long mode */
        "  cpuid\n"
        "  btl $29, %edx\n"
        "  jnc wrong\n"
        "  movl $0xc0000100, %ecx\n" /* FS base: written, read back */
        "  movl $0x12345678, %eax\n"
        "  movl $0x00007abc, %edx\n"
        "  wrmsr\n"
        "  xorl %eax, %eax\n"
        "  xorl %edx, %edx\n"
        "  rdmsr\n"
        "  cmpl $0x12345678, %eax\n"
        "  jne wrong\n"
        "  cmpl $0x00007abc, %edx\n"
        "  jne wrong\n"
        /* Vector 32 is the timer's: an interrupt gate to `timer`. */
        "  movl $(BASE + (timer - accel_guest_begin)), %eax\n"
        "  movl $(IDT + 32 * 16), %edi\n"
        "  movw %ax, (%rdi)\n"
        "  movw $8, 2(%rdi)\n"
        "  movw $0x8e00, 4(%rdi)\n"
        "  shrl $16, %eax\n"
        "  movw %ax, 6(%rdi)\n"
        "  movl $(BASE + (idt_pointer - accel_guest_begin)), %eax\n"
        "  lidt (%rax)\n"
        /* Intel SDM 3A, 11.5.4: enable by the spurious vector, divide by 1, one shot. */
        "  movl $0xfee00000, %edi\n"
        "  movl $0x10000, 0x350(%rdi)\n" /* no interrupt of the 8259's: the firmware */
        "  movb $0xff, %al\n"            /* left its timer running */
        "  outb %al, $0x21\n"
        "  outb %al, $0xa1\n"
        "  movl $0x1ff, 0xf0(%rdi)\n"
        "  movl $0xb, 0x3e0(%rdi)\n"
        "  movl $32, 0x320(%rdi)\n"
        "  xorl %ebp, %ebp\n"
        "  movl $100000, 0x380(%rdi)\n"
        "2: sti\n"
        "  hlt\n"
        "  cli\n"
        "  testl %ebp, %ebp\n"
        "  jz 2b\n"
        "  movl $0x2a, %eax\n"
        "  jmp say\n"
        "wrong:\n"
        "  movl $0x2b, %eax\n"
        "say:\n"
        "  outl %eax, $0xf4\n"
        "3: hlt\n"
        "  jmp 3b\n"
        "timer:\n"
        "  incl %ebp\n"
        "  iretq\n"
        ".balign 8\n"
        "gdt:\n"
        "  .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff\n"
        "gdt_pointer:\n"
        "  .word 23\n"
        "  .long BASE + (gdt - accel_guest_begin)\n"
        "idt_pointer:\n"
        "  .word 33 * 16 - 1\n"
        "  .quad IDT\n"
        "accel_guest_end:\n"
        ".popsection\n");

extern const unsigned char accel_guest_begin[], accel_guest_end[];

const void *
accel_guest(size_t *length)
{
    *length = (size_t)(accel_guest_end - accel_guest_begin);
    return accel_guest_begin;
}

#else

/* KVM runs guests of the machine's own kind only. */
const void *
accel_guest(size_t *length)
{
    *length = 0;
    return NULL;
}

#endif

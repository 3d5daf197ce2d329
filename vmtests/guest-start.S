/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The first instructions of the guest inside (guest.c): from the CPU's reset to 64-bit C.
 * The machine shows the ROM's 64 KiB below 4 GiB, where the CPU begins, and below 1 MiB,
 * where they are linked. All of the first 4 GiB is mapped as it is, by pages of 2 MiB.
 */
.set PML4, 0x10000
.set PDPT, 0x11000
.set PD, 0x12000 /* four of them */
.set STACK, 0x30000

.section .start, "ax"
.code16
start16:
    cli
    cld
    lgdtl %cs:(gdt_pointer - 0xf0000)
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $8, $start32

.code32
start32:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $(PDPT + 3), PML4 /* memory is all zeros at first */
    movl $PD, %edi
    movl $PDPT, %esi
    movl $4, %ecx
1:  leal 3(%edi), %eax
    movl %eax, (%esi)
    addl $8, %esi
    addl $0x1000, %edi
    decl %ecx
    jnz 1b
    movl $PD, %edi
    movl $0x83, %eax /* present, writable, large */
    movl $2048, %ecx
2:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    decl %ecx
    jnz 2b
    movl %cr4, %eax
    orl $0x20, %eax /* PAE */
    movl %eax, %cr4
    movl $PML4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx /* EFER.LME */
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    ljmpl $24, $start64

.code64
start64:
    movl $STACK, %esp
    call guest_main
3:  hlt
    jmp 3b

.balign 8
gdt: /* all marked as accessed, which the CPU could not do in a ROM */
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
gdt_pointer:
    .word 31
    .long gdt + 0xffff0000 - 0xf0000 /* read before anything below 1 MiB can be */

.section .reset, "ax"
.code16
    jmp start16
    .balign 16, 0

.section .note.GNU-stack, "", @progbits

"""Control flow: divergence, loops, jump tables, calls, early exits, stack allocation (PTX ISA 9.7.12, 9.7.5.3)."""

from __future__ import annotations

from .form import Form, elementwise

LOOP = """mov.u32 %d0, 0;
and.b32 %n, %a0, 63;
LOOP:
setp.eq.u32 %q0, %n, 0;
@%q0 bra DONE;
mad.lo.u32 %d0, %d0, 31, %n;
sub.u32 %n, %n, 1;
bra LOOP;
DONE:"""

NESTED = """mov.u32 %d0, 1;
and.b32 %n, %a0, 7;
OUTER:
setp.eq.u32 %q0, %n, 0;
@%q0 bra DONE;
and.b32 %m, %a1, 5;
INNER:
setp.gt.u32 %q1, %m, %n;
@%q1 bra SKIP;
mad.lo.u32 %d0, %d0, 7, %m;
add.u32 %m, %m, 1;
bra INNER;
SKIP:
xor.b32 %d0, %d0, %n;
sub.u32 %n, %n, 1;
bra OUTER;
DONE:"""

TABLE = """and.b32 %n, %a0, 3;
TARGETS: .branchtargets CASE0, CASE1, CASE2, CASE3;
brx.idx %n, TARGETS;
CASE0:
mov.u32 %d0, 100;
bra.uni DONE;
CASE1:
add.u32 %d0, %a0, 1;
bra DONE;
CASE2:
not.b32 %d0, %a0;
CASE3:
mul.lo.u32 %d0, %a0, 5;
DONE:"""

EXITS = """setp.lt.s32 %q0, %a0, 0;
@%q0 exit;
mov.u32 %d0, %a0;"""

FUNCTIONS = """.func (.param .b32 result) oracle_collatz(.param .b32 start) {
    .reg .b32 %n, %count, %odd;
    .reg .pred %p;
    ld.param.b32 %n, [start];
    mov.u32 %count, 0;
STEP:
    setp.le.u32 %p, %n, 1;
    @%p bra OUT;
    and.b32 %odd, %n, 1;
    setp.eq.u32 %p, %odd, 0;
    @%p shr.u32 %n, %n, 1;
    @!%p mad.lo.u32 %n, %n, 3, 1;
    add.u32 %count, %count, 1;
    bra STEP;
OUT:
    st.param.b32 [result], %count;
    ret;
}
.func (.param .b32 result) oracle_twice(.param .b32 start) {
    .reg .b32 %n;
    ld.param.b32 %n, [start];
    add.u32 %n, %n, %n;
    st.param.b32 [result], %n;
    ret;
}
.func (.param .align 8 .b8 result[16]) oracle_pair(.param .align 8 .b8 start[16]) {
    .reg .b64 %a, %b;
    ld.param.b64 %a, [start];
    ld.param.b64 %b, [start+8];
    st.param.b64 [result], %b;
    st.param.b64 [result+8], %a;
    ret;
}
.func (.reg .u32 %out) oracle_registers(.reg .u32 %x, .reg .u32 %y) {
    sub.u32 %out, %x, %y;
    ret;
}"""

CALL = """{
.param .b32 given;
.param .b32 got;
and.b32 %n, %a0, 0xff;
st.param.b32 [given], %n;
call.uni (got), oracle_collatz, (given);
ld.param.b32 %d0, [got];
}"""

DIVERGED_CALL = """mov.u32 %d0, 7;
setp.lt.s32 %q0, %a0, 0;
@%q0 bra DONE;
{
.param .b32 given;
.param .b32 got;
and.b32 %n, %a0, 0x3f;
st.param.b32 [given], %n;
call (got), oracle_collatz, (given);
ld.param.b32 %d0, [got];
}
DONE:"""

STRUCTURE = """{
.param .align 8 .b8 given[16];
.param .align 8 .b8 got[16];
st.param.b64 [given], %a0;
st.param.b64 [given+8], %a1;
call.uni (got), oracle_pair, (given);
ld.param.b64 %d0, [got];
ld.param.b64 %d1, [got+8];
}"""

INDIRECT = """and.b32 %n, %a0, 1;
setp.eq.u32 %q0, %n, 0;
mov.u64 %callee, oracle_collatz;
@%q0 mov.u64 %callee, oracle_twice;
{
.param .b32 given;
.param .b32 got;
and.b32 %n, %a0, 0x3e;
st.param.b32 [given], %n;
PROTOTYPE: .callprototype (.param .b32 _) _ (.param .b32 _);
call (got), %callee, (given), PROTOTYPE;
ld.param.b32 %d0, [got];
}"""

STACK = """stacksave.u64 %callee;
alloca.u64 %addr, 32, 16;
cvta.local.u64 %addr, %addr;
st.b32 [%addr], %a0;
st.b32 [%addr+28], %a1;
ld.b32 %n, [%addr+28];
ld.b32 %d0, [%addr];
sub.u32 %d0, %d0, %n;
stackrestore.u64 %callee;"""

REGISTERS = ".reg .b32 %n, %m;\n.reg .b64 %callee;"


def _row(name: str, instruction: str, operands: str, results: str, body: str, prelude: str = "") -> Form:
    return elementwise(
        "control", instruction, operands, results, body, name=f"control_{name}", registers=REGISTERS, prelude=prelude
    )


def rows() -> list[Form]:
    """Return all rows of this file."""
    predicated = "setp.lt.s32 %q0, %a0, %a1;\n@%q0 add.u32 %d0, %a0, 3;\n@!%q0 sub.u32 %d0, %a1, 9;"
    vectors = ".reg .v4 .b32 %v;\nmov.b32 %v.x, %a0;\nmov.b32 %v.w, %a1;\nadd.u32 %d0, %v.x, %v.w;"
    return [
        _row("loop", "bra", "u32", "u32", LOOP),
        _row("nested", "bra", "u32 u32", "u32", NESTED),
        _row("table", "brx.idx", "u32", "u32", TABLE),
        _row("exit", "exit", "s32", "u32", EXITS),
        _row("predicated", "@p", "s32 s32", "u32", predicated),
        _row("vector_register", ".reg .v4", "u32 u32", "u32", vectors),
        _row("call", "call.uni", "u32", "u32", CALL, FUNCTIONS),
        _row("diverged_call", "call", "s32", "u32", DIVERGED_CALL, FUNCTIONS),
        _row("structure", "call.uni", "u64 u64", "u64 u64", STRUCTURE, FUNCTIONS),
        _row("registers", "call.uni", "u32 u32", "u32", "call.uni (%d0), oracle_registers, (%a0, %a1);", FUNCTIONS),
        _row("indirect", "call", "u32", "u32", INDIRECT, FUNCTIONS),
        _row("stack", "alloca", "u32 u32", "u32", STACK),
        _row("nanosleep", "nanosleep.u32", "u32", "u32", "nanosleep.u32 20;\nmov.u32 %d0, %a0;"),
        _row("dependents", "griddepcontrol", "u32", "u32",
             "griddepcontrol.launch_dependents;\ngriddepcontrol.wait;\nmov.u32 %d0, %a0;"),
    ]  # fmt: skip

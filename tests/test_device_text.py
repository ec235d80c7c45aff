"""What a kernel says: `vprintf` text on the standard output, conversions as C has them, failed assertions as errors."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import warpbridge as wb

# Python's % is C's printf for these; the others stand in EXACT.
LIKE_PYTHON = {
    "d": (["%d", "%5d", "%-5d|", "%05d", "%+d", "% d", "%.3d", "%8.3d", "%i"], [0, 7, -42, 2**31 - 1]),
    "x": (["%x", "%X", "%08x", "%#x", "%-8x|", "%o", "%u"], [255, 3, 2**31]),
    "f": (
        [
            "%f",
            "%.3f",
            "%10.2f",
            "%-10.1f|",
            "%+.0f",
            "%e",
            "%.2e",
            "%E",
            "%12.4e",
            "%g",
            "%G",
            "%.3g",
            "%#g",
        ],
        [
            0.0,
            1.5,
            -2.0 / 3,
            12345.678,
            1e-7,
            1e22,
            123456789.0,
            0.0001,
            2.5,
            float("inf"),
            float("-inf"),
            float("nan"),
        ],
    ),
}
EXACT = [
    ("%lld", "d8", -5_000_000_000, "-5000000000"),
    ("%llu", "d8", 2**64 - 1, "18446744073709551615"),
    ("%lx", "d8", 2**40, "10000000000"),
    ("%u", "d4", 2**32 - 1, "4294967295"),
    ("%hd", "d4", 0x12345, "9029"),
    ("%hhu", "d4", 0x1FF, "255"),
    ("%c", "d4", 65, "A"),
    ("%3c|", "d4", 65, "  A|"),
    ("%%%d%%", "d4", 3, "%3%"),
    ("%p", "d8", 0x1234, "0x1234"),
    ("%p", "d8", 0, "(nil)"),
    ("%#o", "d4", 8, "010"),
    ("%a", "f8", 1.5, "0x1.8p+0"),
    ("%.1a", "f8", 1.96875, "0x2.0p+0"),
    ("%A", "f8", -0.1, "-0X1.999999999999AP-4"),
    ("%010.3f", "f8", -12.3456, "-00012.346"),
    ("%010.3f", "f8", float("inf"), "       inf"),
    ("%.0d|", "d4", 0, "|"),
    ("no argument", "d4", 0, "no argument"),
    ("%", "d4", 0, ""),
]
SIZED = {"d4": ("u32", 4), "d8": ("u64", 8), "f8": ("f64", 8)}


def program(pattern: str) -> str:
    """Return an entry that prints its argument, 8 bytes, with a pattern, and stores the answer of vprintf."""
    letters = ", ".join(str(b) for b in [*pattern.encode(), 0])
    return f"""
.version 8.0
.target sm_80
.address_size 64
.extern .func (.param .b32 status) vprintf (.param .b64 format, .param .b64 buffer);
.global .align 1 .b8 pattern[] = {{{letters}}};
.visible .entry say(.param .u64 value, .param .u64 answer)
{{
    .local .align 8 .b8 buffer[8];
    .reg .b64 %rd<6>; .reg .b32 %r<2>;
    ld.param.u64 %rd0, [value]; ld.param.u64 %rd1, [answer];
    ld.global.u64 %rd2, [%rd0]; st.local.u64 [buffer], %rd2;
    mov.u64 %rd3, pattern; cvta.global.u64 %rd3, %rd3; mov.u64 %rd4, buffer; cvta.local.u64 %rd4, %rd4;
    {{
        .param .b64 p0; .param .b64 p1; .param .b32 r0;
        st.param.b64 [p0], %rd3; st.param.b64 [p1], %rd4;
        call.uni (r0), vprintf, (p0, p1);
        ld.param.b32 %r0, [r0];
    }}
    st.global.u32 [%rd1], %r0;
    ret;
}}
"""


def bits(kind: str, value: float) -> np.ndarray:
    """Return the 8 bytes that the compiler puts into the buffer."""
    if kind == "f8":
        return np.array([value], np.float64).view(np.uint64)
    number = np.array([int(value) % 2**64], np.uint64)
    return number & np.uint64(2**32 - 1) if kind == "d4" else number


def said(pattern: str, kind: str, value: float, capture: pytest.CaptureFixture[str]) -> tuple[str, int]:
    """Return the text and what vprintf answered."""
    answer = np.full(1, -1, np.int32)
    wb.load(program(pattern)).entries["say"](1, 1, [bits(kind, value), answer])
    return capture.readouterr().out, int(answer[0])


@pytest.mark.parametrize("kind", LIKE_PYTHON)
def test_conversions_agree_with_python(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    patterns, values = LIKE_PYTHON[kind]
    size = "f8" if kind == "f" else "d4"
    wrong = []
    for pattern in patterns:
        for value in values:
            text, _ = said(pattern, size, value, capfd)
            if text != pattern % value:
                wrong.append((pattern, value, text, pattern % value))
    assert wrong == []


@pytest.mark.parametrize(("pattern", "kind", "value", "expected"), EXACT)
def test_conversions_that_python_lacks_agree_with_c(
    pattern: str, kind: str, value: float, expected: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert said(pattern, kind, value, capfd)[0] == expected


def test_vprintf_answers_the_number_of_arguments(capfd: pytest.CaptureFixture[str]) -> None:
    assert said("%d", "d4", 1, capfd) == ("1", 1)
    assert said("none", "d4", 1, capfd) == ("none", 0)


def test_text_without_a_line_end_is_there_when_the_call_returns(capfd: pytest.CaptureFixture[str]) -> None:
    with wb.cpu(threads=2):
        assert said("half a line", "d4", 0, capfd)[0] == "half a line"


ASSERTION = """
.version 8.0
.target sm_80
.address_size 64
.extern .func __assertfail (.param .b64 a, .param .b64 b, .param .b32 c, .param .b64 d, .param .b64 e) .noreturn;
.extern .func (.param .b32 status) vprintf (.param .b64 format, .param .b64 buffer);
.global .align 1 .b8 message[] = {120, 32, 62, 32, 48, 0};
.global .align 1 .b8 file[] = {97, 46, 99, 117, 0};
.global .align 1 .b8 function[] = {107, 0};
.global .align 1 .b8 hello[] = {104, 101, 108, 108, 111, 10, 0};
.visible .entry check(.param .u64 x)
{
    .reg .b64 %rd<6>; .reg .b32 %r<4>; .reg .pred %p;
    ld.param.u64 %rd0, [x]; mov.u32 %r0, %tid.x; mad.wide.u32 %rd0, %r0, 4, %rd0; ld.global.u32 %r1, [%rd0];
    mov.u64 %rd1, message; cvta.global.u64 %rd1, %rd1; mov.u64 %rd2, file; cvta.global.u64 %rd2, %rd2;
    mov.u64 %rd3, function; cvta.global.u64 %rd3, %rd3; mov.u64 %rd4, hello; cvta.global.u64 %rd4, %rd4;
    setp.ne.u32 %p, %r0, 0;
    @%p bra CHECK;
    {
        .param .b64 p0; .param .b64 p1; .param .b32 r0;
        st.param.b64 [p0], %rd4; st.param.b64 [p1], 0;
        call.uni (r0), vprintf, (p0, p1);
    }
CHECK:
    setp.gt.s32 %p, %r1, 0;
    @%p bra DONE;
    {
        .param .b64 p0; .param .b64 p1; .param .b32 p2; .param .b64 p3; .param .b64 p4;
        st.param.b64 [p0], %rd1; st.param.b64 [p1], %rd2; st.param.b32 [p2], 12; st.param.b64 [p3], %rd3;
        st.param.b64 [p4], 1;
        call.uni __assertfail, (p0, p1, p2, p3, p4);
    }
DONE:
    ret;
}
"""
FAILED = "assertion failed: x > 0 (a.cu:12, in k)"


def check() -> wb.Entry:
    """Return the entry that asserts that each number is positive."""
    return wb.load(ASSERTION).entries["check"]


def numbers() -> np.ndarray:
    """Return numbers of which the sixth fails."""
    x = np.ones(32, np.int32)
    x[5] = -1
    return x


def assert_names_the_lane(failure: BaseException | None) -> None:
    """Check the text that every call style must give."""
    assert isinstance(failure, wb.KernelFault)
    assert FAILED in str(failure)
    assert "lane 5" in str(failure)


def test_blocking_call_raises_the_assertion_and_prints_before(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(wb.KernelFault) as caught:
        check()(1, 32, [numbers()])
    assert_names_the_lane(caught.value)
    assert capfd.readouterr().out == "hello\n"


def test_pending_has_the_assertion_and_prints_before(capfd: pytest.CaptureFixture[str]) -> None:
    pending = check().submit(1, 32, [numbers()])
    assert_names_the_lane(pending.exception(timeout=20))
    assert capfd.readouterr().out == "hello\n"


def test_callback_sees_the_assertion(capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[Any] = []
    done = threading.Event()
    pending = check().submit(1, 32, [numbers()])
    pending.add_done_callback(lambda p: (seen.append(p.exception()), done.set()))
    assert done.wait(20)
    assert_names_the_lane(seen[0])
    assert capfd.readouterr().out == "hello\n"


def test_assertion_that_holds_says_nothing() -> None:
    check()(1, 32, [np.ones(32, np.int32)])

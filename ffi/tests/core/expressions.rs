//! Expressions of manifests: values, and errors that quote the text.

use warpbridge::manifest::expr::{Expr, Names};

struct Table;
impl Names for Table {
    fn value(&self, name: &str) -> Result<i64, String> {
        match name {
            "n" => Ok(10_000),
            "organ" => Ok(7),
            "big" => Ok(i64::MAX),
            _ => Err(format!("unknown symbol {name}")),
        }
    }
    fn itemsize(&self, name: &str) -> Result<i64, String> {
        if name == "T" {
            Ok(2)
        } else {
            Err(format!("unknown dtype {name}"))
        }
    }
    fn is_dtype(&self, name: &str, dtype: &str) -> Result<bool, String> {
        self.itemsize(name).map(|_| dtype == "float16")
    }
    fn is_value(&self, name: &str, number: i64) -> Result<bool, String> {
        self.value(name).map(|value| value == number)
    }
}

fn value(text: &str) -> Result<i64, String> {
    Expr::parse(text)?.value(&Table)
}

#[test]
fn values_follow_pythons_rules() {
    let cases = [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("-7 // 2", -4),
        ("-7 % 3", 2),
        ("7 % -3", -2),
        ("10 - 4 - 3", 3),
        ("1_000", 1000),
        ("ceil_div(n, 4096)", 3),
        ("ceil_div(-7, 2)", -3),
        ("align_up(17, 16)", 32),
        ("next_pow2(17)", 32),
        ("next_pow2(0)", 1),
        ("min(n, 4, 9)", 4),
        ("max(n, 4)", 10_000),
        ("itemsize(T) * 3", 6),
        ("n == 10000 and n < 2 or n > 5", 1),
        ("n == 0 or 1 // n == 0", 1),
        ("n != 10000 and 1 // 0", 0),
        ("organ", 7),
        ("3 * -2", -6),
        ("1 <= 2 == 1", 1),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text), Ok(expected), "{text}");
    }
}

#[test]
fn errors_quote_the_expression() {
    let cases = [
        ("n // (n - n)", "expression \"n // (n - n)\": divides by zero"),
        ("big + 1", "expression \"big + 1\": overflows 64 bits"),
        ("-big - 2", "expression \"-big - 2\": overflows 64 bits"),
        ("(-big - 1) // -1", "expression \"(-big - 1) // -1\": overflows 64 bits"),
        ("m", "expression \"m\": unknown symbol m"),
        (
            "1 +",
            "expression \"1 +\": ends early, expected a number, a name or \"(\"",
        ),
        ("(1", "expression \"(1\": ends early, expected \")\""),
        ("1 2", "expression \"1 2\": unexpected \"2\""),
        ("1 / 2", "expression \"1 / 2\": unexpected \"/ 2\""),
        (
            "ceil_div(1)",
            "expression \"ceil_div(1)\": ceil_div has 1 arguments, expected 2",
        ),
        (
            "log(1)",
            "expression \"log(1)\": unknown function log, expected min, max, ceil_div, align_up, next_pow2, itemsize, is_dtype or is_value",
        ),
        (
            "is_dtype(T)",
            "expression \"is_dtype(T)\": found \")\", expected \",\"",
        ),
        (
            "is_dtype(T, 2)",
            "expression \"is_dtype(T, 2)\": is_dtype expects a dtype's name",
        ),
        (
            "is_dtype(U, int8)",
            "expression \"is_dtype(U, int8)\": unknown dtype U",
        ),
        (
            "9223372036854775808",
            "expression \"9223372036854775808\": \"9223372036854775808\" is not a 64-bit integer",
        ),
        ("é", "expression \"é\": found \"é\", expected a number, a name or \"(\""),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text), Err(expected.into()), "{text}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let text = format!("{}1{}", "(".repeat(400), ")".repeat(400));
    assert!(Expr::parse(&text).is_err_and(|e| e.ends_with(": nested deeper than 64")));
    let text = format!("{}1", "-".repeat(900));
    assert!(Expr::parse(&text).is_err_and(|e| e.ends_with(": nested deeper than 64")));
    let text = format!("1{}", " + 1".repeat(250));
    assert_eq!(
        Expr::parse(&text).err(),
        Some("expression of 1001 characters, expected at most 1000".into())
    );
}

#[test]
fn a_dtype_is_compared() {
    assert_eq!(value("1 + is_dtype(T, float16)"), Ok(2));
    assert_eq!(value("3 * is_dtype(T, int8)"), Ok(0));
}

#[test]
fn a_scalar_is_compared() {
    assert_eq!(value("2 * is_value(n, 10000) + is_value(n, 1)"), Ok(2));
    for text in ["is_value(n, m)", "is_value(2, n)"] {
        let expected = format!("expression \"{text}\": is_value expects a scalar's name and a number");
        assert_eq!(value(text), Err(expected));
    }
    let text = "expression \"is_value(n)\": found \")\", expected \",\"";
    assert_eq!(value("is_value(n)"), Err(text.into()));
}

#[test]
fn symbols_and_dtypes_are_listed() {
    let expr = Expr::parse("min(n, m) * itemsize(T)").expect("parses");
    assert_eq!(expr.symbols(), ["n", "m"]);
    assert_eq!(expr.dtypes(), ["T"]);
    let expr = Expr::parse("is_dtype(W, uint8) + itemsize(T)").expect("parses");
    assert_eq!(expr.dtypes(), ["W", "uint8", "T"]);
    let expr = Expr::parse("1 + is_value(a, 1) * is_value(b, 0)").expect("parses");
    assert_eq!((expr.symbols(), expr.scalars()), (vec![], vec!["a", "b"]));
    assert_eq!(Expr::parse("n").expect("parses").as_symbol(), Some("n"));
}

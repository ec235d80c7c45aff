//! Variants that run some sizes only: the first whose `when` holds, else the one without, of the best architecture.

use warpbridge::bind::bind;
use warpbridge::dtype::DType;
use warpbridge::error::{Error, Kind};
use warpbridge::module::Module;
use warpbridge::value::Value;

use crate::support::at;

const PTX: &str = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry plain(.param .u64 y) { ret; }
.visible .entry long(.param .u64 y) { ret; }
.visible .entry longer(.param .u64 y) { ret; }
.visible .entry scaled(.param .u64 y, .param .f32 a) { ret; }
";

/// A number that a repeated call may replace, unless something asks for its value.
const SCALED: &str = r#"
manifest = 1
name = "scaled"
variants = [{ ptx = "y.ptx", arch = "sm_80", entry = "scaled" }]
launch = { block = 32, grid = 4 }
args = [
  { name = "y", kind = "array", intent = "inout", dtype = "uint32", shape = ["n..."] },
  { name = "a", kind = "scalar", dtype = "float32" },
]
"#;

const PLAIN: &str = r#"{ ptx = "y.ptx", arch = "sm_80", entry = "plain" }"#;
const LONG: &str = r#"{ ptx = "y.ptx", arch = "sm_80", entry = "long", when = "n > 10", launch = { block = 64 } }"#;
const LONGER: &str = r#"{ ptx = "y.ptx", arch = "sm_80", entry = "longer", when = "n > 5 and twice > 40" }"#;

fn module(variants: &[&str]) -> Result<Module, Error> {
    let manifest = format!(
        r#"
        manifest = 1
        name = "y"
        variants = [{}]
        symbols = {{ twice = "2 * n" }}
        launch = {{ block = 32, grid = 4 }}
        args = [{{ name = "y", kind = "array", intent = "inout", dtype = "uint32", shape = ["n..."] }}]
        "#,
        variants.join(", ")
    );
    Module::load(PTX, "y.ptx", Some((&manifest, "y.toml")), None)
}

fn runs(variants: &[&str], elements: i64, options: Option<&str>) -> Result<(String, u32), Error> {
    let shape = [elements];
    let values = [Value::Tensor(at(0x1000, DType::Uint32, &shape))];
    let bound = bind(&module(variants)?.kernel("y")?, &values, options)?;
    Ok((bound.entry.clone(), bound.extents.block[0]))
}

#[test]
fn variant_runs_where_its_condition_holds() {
    for order in [[PLAIN, LONG], [LONG, PLAIN]] {
        assert_eq!(runs(&order, 10, None).expect("short"), ("plain".into(), 32));
        assert_eq!(runs(&order, 11, None).expect("long"), ("long".into(), 64));
    }
}

#[test]
fn variant_may_have_more_warps_of_a_role() {
    let roles = |variant: &str, common: &str| {
        let manifest = format!(
            r#"
            manifest = 1
            name = "y"
            variants = [{variant}]
            launch = {{ block = 128, grid = 4{common} }}
            roles = [{{ name = "first", warps = 1 }}, {{ name = "rest", warps = 1 }}]
            args = [{{ name = "y", kind = "array", intent = "inout", dtype = "uint32", shape = ["n"] }}]
            "#
        );
        let module = Module::load(PTX, "y.ptx", Some((&manifest, "y.toml")), None).expect("a module");
        let values = [Value::Tensor(at(0x1000, DType::Uint32, &[3]))];
        let bound = bind(&module.kernel("y").expect("y"), &values, None)?;
        let plan = bound.plan.as_ref().expect("something to launch");
        Ok::<_, Error>(plan.roles.iter().map(|r| (r.name.clone(), r.warps)).collect::<Vec<_>>())
    };
    let named = |first, rest| vec![("first".to_owned(), first), ("rest".to_owned(), rest)];
    let own = PLAIN.replace(" }", ", launch = { warps = { rest = \"n\" } } }");
    assert_eq!(roles(PLAIN, "").expect("as [[roles]] says"), named(1, 1));
    assert_eq!(
        roles(PLAIN, ", warps = { first = 2 }").expect("for all variants"),
        named(2, 1)
    );
    assert_eq!(
        roles(&own, ", warps = { rest = 2 }").expect("the variant's own"),
        named(1, 3)
    );
    let error = roles(&own.replace("\"n\"", "\"n + 1\""), "").expect_err("one warp too many");
    assert_eq!(
        error.message,
        "y: the roles have 5 warps, but the block [128, 1, 1] has 4"
    );
}

#[test]
fn first_condition_that_holds_wins() {
    let entry = |order: &[&str]| runs(order, 30, None).expect("longer").0;
    assert_eq!(entry(&[PLAIN, LONG, LONGER]), "long");
    assert_eq!(entry(&[PLAIN, LONGER, LONG]), "longer");
    assert_eq!(runs(&[LONGER, LONG, PLAIN], 15, None).expect("long").0, "long");
}

#[test]
fn better_architecture_goes_before_a_condition() {
    let better = PLAIN.replace("sm_80", "sm_90");
    assert_eq!(runs(&[LONG, &better], 30, None).expect("the better one").0, "plain");
    let asked = runs(&[LONG, &better], 30, Some("arch=sm_80"));
    assert_eq!(asked.expect("the one asked for").0, "long");
}

#[test]
fn earlier_architecture_takes_what_no_condition_takes() {
    let better = LONG.replace("sm_80", "sm_90");
    assert_eq!(runs(&[PLAIN, &better], 30, None).expect("long").0, "long");
    assert_eq!(runs(&[PLAIN, &better], 3, None).expect("short").0, "plain");
}

#[test]
fn sizes_that_no_variant_takes_are_refused() {
    let error = runs(&[LONG, LONGER], 5, None).expect_err("too short for both");
    assert_eq!(error.kind, Kind::Argument);
    assert_eq!(
        error.message,
        "y: no variant for these sizes, expected sizes with \"n > 10\" or \"n > 5 and twice > 40\"; use others, or add a variant \
         without when"
    );
}

#[test]
fn condition_that_cannot_be_evaluated_is_refused() {
    let wrong = LONG.replace("n > 10", "1 // (n - 7)");
    let error = runs(&[PLAIN, &wrong], 7, None).expect_err("divides by zero");
    assert_eq!(
        error.message,
        "y: variants[1].when: expression \"1 // (n - 7)\": divides by zero"
    );
    let error = module(&[PLAIN, &LONG.replace("n > 10", "m > 10")])
        .map(|_| ())
        .expect_err("no such symbol");
    assert_eq!(
        error.message,
        "y.toml: variants[1].when uses the unknown symbol m in \"m > 10\", expected one of is_gpu, n, sm_count, twice"
    );
}

#[test]
fn number_whose_value_decides_is_not_replaced_in_a_repeated_call() {
    let replaceable = |more: &str| {
        let manifest = format!("{SCALED}{more}");
        let module = Module::load(PTX, "y.ptx", Some((&manifest, "y.toml")), None)?;
        let shape = [4];
        let values = [Value::Tensor(at(0x1000, DType::Uint32, &shape)), Value::Float(1.0)];
        let bound = bind(&module.kernel("scaled")?, &values, None)?;
        Ok::<_, Error>(bound.plan.expect("something to launch").scalars.len())
    };
    assert_eq!(replaceable("").expect("nothing asks for a"), 1);
    let requires = "requires = [{ expression = \"is_value(a, 1) or n > 9\", message = \"a is not 1\" }]";
    assert_eq!(replaceable(requires).expect("a is 1"), 0);
}

//! Matrix instructions (ISA 9.7.14): shapes, types and register counts are checked here, once.

use super::memory::{flags, space_code};
use super::warp::literal;
use super::{has, operands, unary, unsupported};
use crate::decode::lower::{blank, Lower, Lowered};
use crate::exec::inst::Inst;
use crate::exec::matrix::element::Element;
use crate::exec::matrix::product::{self, is_quad, Combine, Mma};
use crate::exec::matrix::sparse::{selectors, Sparsity};
use crate::exec::matrix::tiles;
use crate::exec::matrix::wmma::{self, Tile, Wmma};
use crate::module::LoadError;
use crate::ptx::tree::{Instruction, Operand, OperandKind};
use crate::ptx::types::Ty;

/// The registers of a fragment: `{...}`, or a single register.
fn registers<'a, 't>(operand: &'a Operand<'t>) -> &'a [Operand<'t>] {
    match &operand.kind {
        OperandKind::Vector(list) => list,
        _ => std::slice::from_ref(operand),
    }
}

fn register_type(t: Element) -> Ty {
    if t == Element::F64 {
        Ty::F64
    } else {
        Ty::B32
    }
}

fn counted<'a, 't>(operand: &'a Operand<'t>, expected: u32) -> Lowered<&'a [Operand<'t>]> {
    let list = registers(operand);
    if list.len() == expected as usize {
        return Ok(list);
    }
    let text = format!("found {} registers, expected {expected}", list.len());
    Err(LoadError::at(operand.pos, text))
}

pub(super) fn sources<'t>(l: &mut Lower<'_, 't>, operand: &Operand<'t>, t: Element, count: u32) -> Lowered<Vec<u32>> {
    let list = counted(operand, count)?;
    list.iter().map(|o| l.src(o, register_type(t))).collect()
}

pub(super) fn targets<'t>(l: &mut Lower<'_, 't>, operand: &Operand<'t>, t: Element, count: u32) -> Lowered<Vec<u32>> {
    let list = counted(operand, count)?;
    list.iter().map(|o| l.dst(o, register_type(t))).collect()
}

/// `m16n8k16`.
pub(super) fn shape(i: &Instruction<'_>) -> Option<(u32, u32, u32)> {
    i.modifiers.iter().find_map(|word| {
        let (m, rest) = word.strip_prefix('m')?.split_once('n')?;
        let (n, k) = rest.split_once('k')?;
        Some((m.parse().ok()?, n.parse().ok()?, k.parse().ok()?))
    })
}

pub(super) fn element_types(i: &Instruction<'_>) -> Vec<Element> {
    i.modifiers.iter().filter_map(|m| Element::parse(m)).collect()
}

fn combine(i: &Instruction<'_>) -> Combine {
    match (has(i, "xor"), has(i, "and")) {
        (true, _) => Combine::XorPopc,
        (_, true) => Combine::AndPopc,
        _ => Combine::Multiply,
    }
}

/// The shapes that `mma` has for element types of A and B.
fn allows(a: Element, b: Element, c: Element, d: Element, shape: (u32, u32, u32)) -> bool {
    use Element as E;
    let (m, n, k) = shape;
    // One register holds 4 lanes' worth of k: the shapes are multiples of that.
    let unit = 4 * a.per_register();
    let depth = match (a, m) {
        (E::F16, 8) => k == 4,
        (E::F64, 8) => k == 4,
        (E::F64, 16) => matches!(k, 4 | 8 | 16),
        (E::U8 | E::S8 | E::U4 | E::S4 | E::B1, 8) => k == unit,
        (_, 16) => k == unit || k == 2 * unit,
        _ => false,
    };
    fits(a, b, c, d, shape) && depth && n == 8
}

/// The shapes that `mma.sp` has: twice as deep.
fn allows_sparse(a: Element, b: Element, c: Element, d: Element, shape: (u32, u32, u32)) -> bool {
    use Element as E;
    let unit = 8 * a.per_register();
    let depth = match a {
        E::E4m3 | E::E5m2 => shape.2 == 2 * unit,
        E::F64 | E::B1 => false,
        _ => shape.2 == unit || shape.2 == 2 * unit,
    };
    fits(a, b, c, d, shape) && depth && (shape.0, shape.1) == (16, 8)
}

/// Element types that go together.
fn fits(a: Element, b: Element, c: Element, d: Element, shape: (u32, u32, u32)) -> bool {
    use Element as E;
    let sums = match a {
        E::F16 => {
            matches!((d, c), (E::F16, E::F16) | (E::F32, E::F32)) || (shape == (8, 8, 4) && (d, c) == (E::F32, E::F16))
        }
        E::E4m3 | E::E5m2 => matches!((d, c), (E::F16, E::F16) | (E::F32, E::F32)),
        E::Bf16 | E::Tf32 => (d, c) == (E::F32, E::F32),
        E::F64 => (d, c) == (E::F64, E::F64),
        _ => (d, c) == (E::S32, E::S32),
    };
    let same = a == b
        || matches!((a, b), (E::U8 | E::S8, E::U8 | E::S8) | (E::U4 | E::S4, E::U4 | E::S4))
        || matches!((a, b), (E::E4m3 | E::E5m2, E::E4m3 | E::E5m2));
    sums && same
}

pub(crate) fn mma<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let types = element_types(i);
    let (Some(shape), &[d, a, b, c]) = (shape(i), types.as_slice()) else {
        return Err(unsupported(i));
    };
    let sparse = i.modifiers.first().is_some_and(|word| word.starts_with("sp"));
    let allowed = if sparse { allows_sparse } else { allows };
    if !allowed(a, b, c, d, shape) {
        return Err(unsupported(i));
    }
    let count = if sparse { 6 } else { 4 };
    let o = operands(i, count, count)?;
    let (m, n, k) = shape;
    let stored = if sparse { k / 2 } else { k };
    let lanes = |elements: u32, t: Element| elements / 32 / t.per_register();
    let quad = a == Element::F16 && shape == (8, 8, 4);
    let counts = if quad {
        let sums = |t: Element| 8 / t.per_register();
        (sums(d), 2, 2, sums(c))
    } else {
        (lanes(m * n, d), lanes(m * stored, a), lanes(n * k, b), lanes(m * n, c))
    };
    let layouts: Vec<bool> = i
        .modifiers
        .iter()
        .filter(|w| matches!(**w, "row" | "col"))
        .map(|w| *w == "row")
        .collect();
    let [row_a, row_b] = layouts[..] else {
        return Err(unsupported(i));
    };
    let mma = Mma {
        shape,
        a,
        b,
        c,
        d,
        by_row: (row_a, row_b),
        saturate: has(i, "satfinite"),
        combine: combine(i),
        sparsity: if sparse {
            Some(sparsity(l, &o[4..], a, k)?)
        } else {
            None
        },
        a_slots: sources(l, &o[1], a, counts.1)?,
        b_slots: sources(l, &o[2], b, counts.2)?,
        c_slots: sources(l, &o[3], c, counts.3)?,
        d_slots: targets(l, &o[0], d, counts.0)?,
    };
    if !is_quad(&mma) && mma.by_row != (true, false) {
        return Err(unsupported(i));
    }
    let run = product::handler(&mma);
    l.out.products.push(mma);
    let extra = l.out.products.len() as u32 - 1;
    l.emit(Inst { extra, ..blank(run) });
    Ok(())
}

/// The metadata and the selector of `mma.sp` and sparse `wgmma`.
pub(super) fn sparsity<'t>(l: &mut Lower<'_, 't>, o: &[Operand<'t>], a: Element, k: u32) -> Lowered<Sparsity> {
    let count = selectors(a, k);
    let selector = literal(&o[1]).filter(|s| *s < u64::from(count));
    let Some(selector) = selector else {
        let text = format!(
            "found a sparsity selector outside 0 to {}, expected one of these",
            count - 1
        );
        return Err(LoadError::at(o[1].pos, text));
    };
    Ok(Sparsity {
        metadata: l.src(&o[0], Ty::B32)?,
        selector: selector as u32,
    })
}

/// `ldmatrix` and `stmatrix`.
pub(crate) fn tile<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let o = operands(i, 2, 2)?;
    let count = ["x1", "x2", "x4"].iter().position(|x| has(i, x)).map_or(1, |n| 1 << n);
    let loads = i.opcode == "ldmatrix";
    let (list, address) = if loads { (&o[0], &o[1]) } else { (&o[1], &o[0]) };
    let slots = if loads {
        targets(l, list, Element::F16, count)?
    } else {
        sources(l, list, Element::F16, count)?
    };
    let address = l.address(address)?;
    let c = l.list(slots);
    let d = if has(i, "trans") { tiles::TRANSPOSED } else { 0 };
    l.emit(Inst {
        a: address.slot,
        c,
        d,
        imm: address.offset,
        extra: flags(space_code(i, l.is_entry), &address),
        ..blank(if loads { tiles::loader() } else { tiles::store })
    });
    Ok(())
}

pub(crate) fn movmatrix<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    unary(l, i, tiles::transpose, Ty::B32, Ty::B32)
}

/// Shapes that `wmma` has for the element type of A and B.
fn wmma_allows(t: Element, shape: (u32, u32, u32)) -> bool {
    match t {
        Element::F16 | Element::Bf16 | Element::U8 | Element::S8 => {
            matches!(shape, (16, 16, 16) | (32, 8, 16) | (8, 32, 16))
        }
        Element::Tf32 => shape == (16, 16, 8),
        Element::F64 => shape == (8, 8, 4),
        Element::U4 | Element::S4 => shape == (8, 8, 32),
        Element::B1 => shape == (8, 8, 128),
        Element::F32 | Element::S32 => true,
        _ => false,
    }
}

/// Registers of a `wmma` fragment: f16 inputs hold every element twice, as on the hardware.
fn wmma_registers(part: char, t: Element, shape: (u32, u32, u32)) -> u32 {
    let (m, n, k) = shape;
    match (part, t) {
        ('a' | 'b', Element::F16) => 8,
        ('a', _) => (m * k / 32 / t.per_register()).max(1),
        ('b', _) => (n * k / 32 / t.per_register()).max(1),
        _ => m * n / 32 / t.per_register(),
    }
}

/// `wmma.load.{a,b,c}` and `wmma.store.d`.
pub(crate) fn wmma_tile<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let types = element_types(i);
    let (Some(shape), &[element]) = (shape(i), types.as_slice()) else {
        return Err(unsupported(i));
    };
    let part = i.modifiers.get(1).and_then(|p| p.chars().next()).unwrap_or('c');
    if !wmma_allows(element, shape) {
        return Err(unsupported(i));
    }
    let o = operands(i, 2, 3)?;
    let loads = has(i, "load");
    let (list, address) = if loads { (&o[0], &o[1]) } else { (&o[1], &o[0]) };
    let count = wmma_registers(part, element, shape);
    let slots = if loads {
        targets(l, list, element, count)?
    } else {
        sources(l, list, element, count)?
    };
    let (m, n, k) = shape;
    let (rows, columns) = match part {
        'a' => (m, k),
        'b' => (k, n),
        _ => (m, n),
    };
    let by_row = has(i, "row");
    let stride = match o.get(2) {
        Some(stride) => l.src(stride, Ty::U32)?,
        None => l.number(u64::from(if by_row { columns } else { rows }), Ty::U32)?,
    };
    let address = l.address(address)?;
    l.out.tiles.push(Tile {
        rows,
        columns,
        element,
        by_row,
        slots,
        stride,
    });
    let c = l.out.tiles.len() as u32 - 1;
    l.emit(Inst {
        a: address.slot,
        c,
        imm: address.offset,
        extra: flags(space_code(i, l.is_entry), &address),
        ..blank(if loads { wmma::load } else { wmma::store })
    });
    Ok(())
}

pub(crate) fn wmma_product<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let types = element_types(i);
    let Some(shape) = shape(i) else {
        return Err(unsupported(i));
    };
    let (d, a, b, c) = match types[..] {
        [d, c] => (d, Element::F16, Element::F16, c),
        [d, a, b, c] => (d, a, b, c),
        _ => return Err(unsupported(i)),
    };
    if !wmma_allows(a, shape) || a != b {
        return Err(unsupported(i));
    }
    let o = operands(i, 4, 4)?;
    let op = Wmma {
        shape,
        a,
        b,
        c,
        d,
        saturate: has(i, "satfinite"),
        combine: combine(i),
        a_slots: sources(l, &o[1], a, wmma_registers('a', a, shape))?,
        b_slots: sources(l, &o[2], b, wmma_registers('b', b, shape))?,
        c_slots: sources(l, &o[3], c, wmma_registers('c', c, shape))?,
        d_slots: targets(l, &o[0], d, wmma_registers('d', d, shape))?,
    };
    l.out.fragments.push(op);
    let c = l.out.fragments.len() as u32 - 1;
    l.emit(Inst {
        c,
        ..blank(wmma::product)
    });
    Ok(())
}

//! Expressions of the manifest: text to tree, tree to a checked 64-bit integer.
//!
//! Grammar, loosest first: `or`, `and`, comparison, `+ -`, `* // %`, unary `-`, atom. Comparisons and `and`/`or` yield 0
//! or 1. `//` and `%` round down, as in Python. What names mean is the caller's business ([`Names`]).

use std::fmt;

/// A parsed expression with its text.
#[derive(Clone, Debug)]
pub struct Expr {
    text: String,
    node: Node,
}

/// Where an expression's names come from.
pub trait Names {
    /// The value of a symbol.
    fn value(&self, name: &str) -> Result<i64, String>;
    /// The bytes of one element of a dtype variable or dtype.
    fn itemsize(&self, name: &str) -> Result<i64, String>;
    /// Whether a dtype variable stands for this dtype.
    fn is_dtype(&self, name: &str, dtype: &str) -> Result<bool, String>;
    /// Whether a scalar, of floating point too, is this number.
    fn is_value(&self, name: &str, number: i64) -> Result<bool, String>;
}

#[derive(Clone, Debug)]
enum Node {
    Number(i64),
    Symbol(String),
    ItemSize(String),
    IsDType(String, String),
    IsValue(String, i64),
    Negate(Box<Node>),
    Binary(Op, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Min,
    Max,
    CeilDiv,
    AlignUp,
    NextPow2,
}

/// Name, function, and least and greatest number of arguments.
const FUNCTIONS: [(&str, Function, usize, usize); 5] = [
    ("min", Function::Min, 2, 8),
    ("max", Function::Max, 2, 8),
    ("ceil_div", Function::CeilDiv, 2, 2),
    ("align_up", Function::AlignUp, 2, 2),
    ("next_pow2", Function::NextPow2, 1, 1),
];

/// Binary operators by binding strength, loosest first; longer spellings stand before their prefixes.
const LEVELS: [&[(&str, Op)]; 5] = [
    &[("or", Op::Or)],
    &[("and", Op::And)],
    &[
        ("==", Op::Equal),
        ("!=", Op::NotEqual),
        ("<=", Op::LessEqual),
        (">=", Op::GreaterEqual),
        ("<", Op::Less),
        (">", Op::Greater),
    ],
    &[("+", Op::Add), ("-", Op::Subtract)],
    &[("*", Op::Multiply), ("//", Op::Divide), ("%", Op::Remainder)],
];

/// Deeper nesting and longer texts are refused: parsing and evaluation are recursive, and a hostile manifest must not
/// exhaust the stack.
const MAX_DEPTH: usize = 64;
const MAX_LENGTH: usize = 1000;

impl Expr {
    /// Reads an expression; the error quotes it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!(
                "expression of {} characters, expected at most {MAX_LENGTH}",
                text.len()
            ));
        }
        let mut parser = Parser { rest: text, depth: 0 };
        let node = parser.level(0).and_then(|node| match parser.peek() {
            "" => Ok(node),
            rest => Err(format!("unexpected \"{rest}\"")),
        });
        match node {
            Ok(node) => Ok(Self {
                text: text.to_owned(),
                node,
            }),
            Err(what) => Err(format!("expression \"{text}\": {what}")),
        }
    }
    /// A constant.
    #[must_use]
    pub fn constant(value: i64) -> Self {
        Self {
            text: value.to_string(),
            node: Node::Number(value),
        }
    }
    /// Its value; the error quotes the expression.
    pub fn value(&self, names: &dyn Names) -> Result<i64, String> {
        eval(&self.node, names).map_err(|what| format!("expression \"{}\": {what}", self.text))
    }
    /// Its value if it names nothing.
    #[must_use]
    pub fn as_constant(&self) -> Option<i64> {
        match self.node {
            Node::Number(value) => Some(value),
            _ => None,
        }
    }
    /// The one symbol that is all of it.
    #[must_use]
    pub fn as_symbol(&self) -> Option<&str> {
        match &self.node {
            Node::Symbol(name) => Some(name),
            _ => None,
        }
    }
    /// Every symbol in it.
    #[must_use]
    pub fn symbols(&self) -> Vec<&str> {
        let mut found = Vec::new();
        collect(&self.node, &mut |node| {
            if let Node::Symbol(name) = node {
                found.push(name.as_str());
            }
        });
        found
    }
    /// Every scalar that `is_value` is asked for.
    #[must_use]
    pub fn scalars(&self) -> Vec<&str> {
        let mut found = Vec::new();
        collect(&self.node, &mut |node| {
            if let Node::IsValue(name, _) = node {
                found.push(name.as_str());
            }
        });
        found
    }
    /// Every dtype or variable that `itemsize` and `is_dtype` are asked for.
    #[must_use]
    pub fn dtypes(&self) -> Vec<&str> {
        let mut found = Vec::new();
        collect(&self.node, &mut |node| match node {
            Node::ItemSize(name) => found.push(name.as_str()),
            Node::IsDType(name, dtype) => found.extend([name.as_str(), dtype.as_str()]),
            _ => {}
        });
        found
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn collect<'a>(node: &'a Node, visit: &mut dyn FnMut(&'a Node)) {
    visit(node);
    match node {
        Node::Number(_) | Node::Symbol(_) | Node::ItemSize(_) | Node::IsDType(..) | Node::IsValue(..) => {}
        Node::Negate(inner) => collect(inner, visit),
        Node::Binary(_, left, right) => {
            collect(left, visit);
            collect(right, visit);
        }
        Node::Call(_, args) => args.iter().for_each(|arg| collect(arg, visit)),
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        self.rest
    }
    fn take(&mut self, token: &str) -> bool {
        let rest = self.peek();
        let Some(after) = rest.strip_prefix(token) else {
            return false;
        };
        let is_word = token.starts_with(|c: char| c.is_ascii_alphabetic());
        if is_word && after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            return false;
        }
        self.rest = after;
        true
    }
    fn level(&mut self, level: usize) -> Result<Node, String> {
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        self.depth += 1;
        if self.depth > MAX_DEPTH * LEVELS.len() {
            return Err(format!("nested deeper than {MAX_DEPTH}"));
        }
        let mut left = self.level(level + 1)?;
        while let Some(&(_, op)) = operators.iter().find(|(token, _)| self.take(token)) {
            let right = self.level(level + 1)?;
            left = Node::Binary(op, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }
    fn unary(&mut self) -> Result<Node, String> {
        if !self.take("-") {
            return self.atom();
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH * LEVELS.len() {
            return Err(format!("nested deeper than {MAX_DEPTH}"));
        }
        let inner = self.unary()?;
        self.depth -= 1;
        Ok(Node::Negate(Box::new(inner)))
    }
    fn atom(&mut self) -> Result<Node, String> {
        if self.take("(") {
            let inner = self.level(0)?;
            return if self.take(")") {
                Ok(inner)
            } else {
                Err(self.expected("\")\""))
            };
        }
        let rest = self.peek();
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let word = &rest[..end];
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            self.rest = &rest[end..];
            let digits = word.replace('_', "");
            return digits
                .parse()
                .map(Node::Number)
                .map_err(|_| format!("\"{word}\" is not a 64-bit integer"));
        }
        if word.is_empty() {
            return Err(self.expected("a number, a name or \"(\""));
        }
        self.rest = &rest[end..];
        if self.take("(") {
            return self.call(word);
        }
        Ok(Node::Symbol(word.to_owned()))
    }
    fn call(&mut self, name: &str) -> Result<Node, String> {
        if ["itemsize", "is_dtype", "is_value"].contains(&name) {
            return self.of_name(name);
        }
        let Some(&(_, function, least, most)) = FUNCTIONS.iter().find(|row| row.0 == name) else {
            let known: Vec<_> = FUNCTIONS.iter().map(|row| row.0).collect();
            return Err(format!(
                "unknown function {name}, expected {}, itemsize, is_dtype or is_value",
                known.join(", ")
            ));
        };
        let mut args = vec![self.level(0)?];
        while self.take(",") {
            args.push(self.level(0)?);
        }
        if !self.take(")") {
            return Err(self.expected("\",\" or \")\""));
        }
        if args.len() < least || args.len() > most {
            let wanted = if least == most {
                least.to_string()
            } else {
                format!("{least} to {most}")
            };
            return Err(format!("{name} has {} arguments, expected {wanted}", args.len()));
        }
        Ok(Node::Call(function, args))
    }
    /// `itemsize(T)`, `is_dtype(T, float16)` or `is_value(scale, 1)`.
    fn of_name(&mut self, function: &str) -> Result<Node, String> {
        let first = self.name(function)?;
        let node = if function == "itemsize" {
            Node::ItemSize(first)
        } else if !self.take(",") {
            return Err(self.expected("\",\""));
        } else if function == "is_dtype" {
            Node::IsDType(first, self.name(function)?)
        } else if let Node::Number(number) = self.atom()? {
            Node::IsValue(first, number)
        } else {
            return Err("is_value expects a scalar's name and a number".into());
        };
        if self.take(")") {
            Ok(node)
        } else {
            Err(self.expected("\")\""))
        }
    }
    fn name(&mut self, function: &str) -> Result<String, String> {
        match self.atom()? {
            Node::Symbol(name) => Ok(name),
            _ if function == "is_value" => Err("is_value expects a scalar's name and a number".into()),
            _ => Err(format!("{function} expects a dtype's name")),
        }
    }
    fn expected(&mut self, what: &str) -> String {
        match self.peek() {
            "" => format!("ends early, expected {what}"),
            rest => format!("found \"{rest}\", expected {what}"),
        }
    }
}

fn eval(node: &Node, names: &dyn Names) -> Result<i64, String> {
    match node {
        Node::Number(value) => Ok(*value),
        Node::Symbol(name) => names.value(name),
        Node::ItemSize(name) => names.itemsize(name),
        Node::IsDType(name, dtype) => names.is_dtype(name, dtype).map(i64::from),
        Node::IsValue(name, number) => names.is_value(name, *number).map(i64::from),
        Node::Negate(inner) => eval(inner, names)?.checked_neg().ok_or_else(overflow),
        Node::Binary(Op::And, left, right) => Ok(i64::from(eval(left, names)? != 0 && eval(right, names)? != 0)),
        Node::Binary(Op::Or, left, right) => Ok(i64::from(eval(left, names)? != 0 || eval(right, names)? != 0)),
        Node::Binary(op, left, right) => binary(*op, eval(left, names)?, eval(right, names)?),
        Node::Call(function, args) => {
            let values = args.iter().map(|arg| eval(arg, names)).collect::<Result<Vec<_>, _>>()?;
            call(*function, &values)
        }
    }
}

fn overflow() -> String {
    "overflows 64 bits".into()
}

fn binary(op: Op, a: i64, b: i64) -> Result<i64, String> {
    let value = match op {
        Op::Equal => Some(i64::from(a == b)),
        Op::NotEqual => Some(i64::from(a != b)),
        Op::Less => Some(i64::from(a < b)),
        Op::LessEqual => Some(i64::from(a <= b)),
        Op::Greater => Some(i64::from(a > b)),
        Op::GreaterEqual => Some(i64::from(a >= b)),
        Op::Add => a.checked_add(b),
        Op::Subtract => a.checked_sub(b),
        Op::Multiply => a.checked_mul(b),
        Op::Divide => return floor_div(a, b),
        Op::Remainder => floor_div(a, b)?.checked_mul(b).and_then(|whole| a.checked_sub(whole)),
        Op::And | Op::Or => unreachable!("evaluated lazily"),
    };
    value.ok_or_else(overflow)
}

fn floor_div(a: i64, b: i64) -> Result<i64, String> {
    if b == 0 {
        return Err("divides by zero".into());
    }
    let truncated = a.checked_div(b).ok_or_else(overflow)?;
    Ok(truncated - i64::from(a % b != 0 && (a < 0) != (b < 0)))
}

fn call(function: Function, args: &[i64]) -> Result<i64, String> {
    // -(a // -b) would overflow at the edges; a quotient rounded up is the floor plus one unless it is exact.
    let ceil_div = |a: i64, b: i64| -> Result<i64, String> {
        let floor = floor_div(a, b)?;
        if floor.checked_mul(b) == Some(a) {
            Ok(floor)
        } else {
            floor.checked_add(1).ok_or_else(overflow)
        }
    };
    match function {
        Function::Min => Ok(args.iter().copied().fold(i64::MAX, i64::min)),
        Function::Max => Ok(args.iter().copied().fold(i64::MIN, i64::max)),
        Function::CeilDiv => ceil_div(args[0], args[1]),
        Function::AlignUp => ceil_div(args[0], args[1])?.checked_mul(args[1]).ok_or_else(overflow),
        Function::NextPow2 => {
            let wanted = u64::try_from(args[0].max(1)).unwrap_or(1);
            i64::try_from(wanted.next_power_of_two()).map_err(|_| overflow())
        }
    }
}

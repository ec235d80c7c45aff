//! Operands for a spelling, from the notation in `isa.txt`, and the module that asks the decoder about it.

/// Bits of a register that holds a type, as the class letter of its registers.
fn class_of(word: &str) -> Option<char> {
    Some(match word {
        "pred" => 'p',
        "b8" | "u8" | "s8" | "b32" | "u32" | "s32" | "f32" | "f16x2" | "bf16x2" | "u16x2" | "s16x2" => 'r',
        "b16" | "u16" | "s16" | "f16" | "bf16" => 'h',
        "b64" | "u64" | "s64" | "f64" => 'd',
        "b128" => 'q',
        _ => return None,
    })
}

fn wider(class: char) -> char {
    match class {
        'h' => 'r',
        'r' => 'd',
        other => other,
    }
}

/// What surrounds an instruction: labels, a jump table, a prototype and a variable that rows may name.
const BODY: &str = "
    .reg .pred %p<299>; .reg .b16 %h<299>; .reg .b32 %r<299>; .reg .b64 %d<299>; .reg .b128 %q<99>;
    .param .b64 FRAME;
    TABLE: .branchtargets AGAIN;
    PROTOTYPE: .callprototype _ ();
AGAIN:
    ";

/// One entry per instruction, named `e0`, `e1` ...
pub fn module(instructions: &[String]) -> String {
    let head = ".version 8.6\n.target sm_90a\n.address_size 64\n.func function() { ret; }\n";
    let entries = instructions.iter().enumerate();
    let entries = entries.map(|(n, text)| format!(".visible .entry e{n}()\n{{{BODY}{text};\n    ret;\n}}\n"));
    head.to_owned() + &entries.collect::<String>()
}

/// The whole instruction.
pub fn instruction(spelling: &str, operands: &str) -> String {
    let mut maker = Maker::new(spelling);
    let list = split(operands).into_iter().filter_map(|operand| maker.operand(operand));
    format!("{spelling} {}", list.collect::<Vec<_>>().join(", "))
}

/// At the commas outside brackets.
fn split(operands: &str) -> Vec<&str> {
    let (mut depth, mut start, mut list) = (0, 0, Vec::new());
    for (at, letter) in operands.char_indices() {
        match letter {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                list.push(operands[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    list.push(operands[start..].trim());
    list.retain(|operand| !operand.is_empty());
    list
}

struct Maker<'t> {
    words: Vec<&'t str>,
    types: Vec<char>,
    used: usize,
}

impl<'t> Maker<'t> {
    fn new(spelling: &'t str) -> Self {
        let words: Vec<_> = spelling.split('.').skip(1).collect();
        let types = words.iter().filter_map(|word| class_of(word)).collect();
        Self { words, types, used: 0 }
    }

    fn operand(&mut self, text: &str) -> Option<String> {
        if let Some((word, rest)) = text.split_once('?') {
            return self.words.contains(&word).then(|| self.filled(rest));
        }
        Some(self.filled(text))
    }

    fn register(&mut self, class: char) -> String {
        self.used += 1;
        format!("%{class}{}", self.used)
    }

    /// Replaces `%r` and the like by registers, `%r*4` by a list of them; other names with a `%` stay.
    fn filled(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            let (name, behind) = rest.split_at(end);
            rest = behind;
            if name.len() > 1 {
                out = out + "%" + name;
                continue;
            }
            let class = self.class(name);
            if let Some(count) = rest.strip_prefix('*') {
                let end = count.find('}').expect("a vector");
                let list: Vec<_> = (0..self.count(&count[..end])).map(|_| self.register(class)).collect();
                out.push_str(&list.join(", "));
                rest = &count[end..];
            } else if name == "V" {
                out.push_str(&self.vector(class));
            } else {
                out.push_str(&self.register(class));
            }
        }
        out + rest
    }

    fn class(&self, name: &str) -> char {
        let last = self.types.last().copied();
        match name {
            "T" | "V" => last.expect("a type"),
            "S" => self.types[0],
            "W" => wider(last.expect("a type")),
            _ => name.chars().next().expect("a class"),
        }
    }

    fn vector(&mut self, class: char) -> String {
        let sizes = [("v2", 2), ("v4", 4), ("v8", 8)];
        match sizes.iter().find(|size| self.words.contains(&size.0)) {
            None => self.register(class),
            Some((_, count)) => {
                let list: Vec<_> = (0..*count).map(|_| self.register(class)).collect();
                format!("{{{}}}", list.join(", "))
            }
        }
    }

    fn count(&self, text: &str) -> usize {
        let dimension = || {
            self.words
                .iter()
                .find_map(|w| w.strip_suffix('d')?.parse::<usize>().ok())
        };
        let columns = || {
            let shape = self.words.iter().find_map(|w| w.strip_prefix("m64n")?.split_once('k'));
            shape.and_then(|s| s.0.parse::<usize>().ok())
        };
        match text {
            "dim" => dimension().expect("a dimension"),
            "dim-2" => dimension().expect("a dimension") - 2,
            "n/2" => columns().expect("a shape") / 2,
            "n/4" => columns().expect("a shape") / 4,
            number => number.parse().expect("a count"),
        }
    }
}

//! Reads `isa.txt`: sections, rows, and the spellings that a row stands for. The notation is explained in the file.
//! Nothing is asked of the decoder here; see `page`.

/// What a piece of a pattern can read.
type Choice = Vec<String>;

/// Spellings per row that are tried in full; beyond, every pair of choices is.
const FULL: usize = 512;

pub struct Isa {
    classes: Vec<(String, Choice)>,
    pub sections: Vec<Section>,
}

pub struct Section {
    pub title: String,
    pub rows: Vec<Row>,
}

pub struct Row {
    pub pattern: String,
    pub operands: String,
}

/// Reads the list.
pub fn read() -> Isa {
    let mut isa = Isa {
        classes: Vec::new(),
        sections: Vec::new(),
    };
    for line in include_str!("isa.txt").lines() {
        if let Some(title) = line.strip_prefix("# ") {
            isa.sections.push(Section {
                title: title.to_owned(),
                rows: Vec::new(),
            });
        } else if let Some((name, members)) = line.strip_prefix('@').and_then(|l| l.split_once(' ')) {
            let members = members.split(' ').map(str::to_owned).collect();
            isa.classes.push((name.to_owned(), members));
        } else if let Some((pattern, operands)) = line.split_once(" :").filter(|_| !line.starts_with("//")) {
            let row = Row {
                pattern: pattern.to_owned(),
                operands: operands.trim().to_owned(),
            };
            isa.sections.last_mut().expect("a section first").rows.push(row);
        } else {
            assert!(
                line.is_empty() || line.starts_with("//"),
                "isa.txt: not understood: {line}"
            );
        }
    }
    isa
}

impl Isa {
    /// The classes that rows name, for the page's legend.
    pub fn classes(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.classes
            .iter()
            .map(|(name, members)| (name.as_str(), members.as_slice()))
    }

    /// Every way to write a pattern, or, where those are very many, every pair of choices beside the first of the rest.
    pub fn spellings(&self, pattern: &str) -> Vec<String> {
        let pieces = self.pieces(pattern);
        let total = pieces.iter().fold(1usize, |n, piece| n.saturating_mul(piece.len()));
        let most = if total <= FULL { pieces.len() } else { 2 };
        let mut out = vec![(String::new(), 0)];
        for piece in &pieces {
            let longer = |(text, changed): &(String, usize)| {
                let (text, changed) = (text.clone(), *changed);
                let choices = piece.iter().enumerate().map(move |(n, word)| {
                    let changed = changed + usize::from(n > 0);
                    (format!("{text}{word}"), changed)
                });
                choices.filter(|c| c.1 <= most).collect::<Vec<_>>()
            };
            out = out.iter().flat_map(longer).collect();
        }
        out.into_iter().map(|(text, _)| text).collect()
    }

    fn pieces(&self, mut rest: &str) -> Vec<Choice> {
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let (piece, length) = self.piece(rest);
            pieces.push(piece);
            rest = &rest[length..];
        }
        pieces
    }

    /// The first piece of a pattern and how much of the text it takes.
    fn piece(&self, text: &str) -> (Choice, usize) {
        let until = |end: char| {
            text.find(end)
                .unwrap_or_else(|| panic!("isa.txt: found no {end} in {text}"))
        };
        if let Some(inner) = text.strip_prefix("{.") {
            let end = until('}');
            let inner = format!(".{}", &inner[..end - 2]);
            let some = self.pieces(&inner).iter().fold(vec![String::new()], |all, piece| {
                let joined = all.iter().flat_map(|a| piece.iter().map(move |b| format!("{a}{b}")));
                joined.collect()
            });
            (std::iter::once(String::new()).chain(some).collect(), end + 1)
        } else if let Some(inner) = text.strip_prefix('(') {
            let end = until(')');
            (inner[..end - 1].split('|').map(str::to_owned).collect(), end + 1)
        } else if let Some(inner) = text.strip_prefix('<') {
            let end = until('>');
            let class = self.classes.iter().find(|c| c.0 == inner[..end - 1]);
            (
                class
                    .unwrap_or_else(|| panic!("isa.txt: no class <{}>", &inner[..end - 1]))
                    .1
                    .clone(),
                end + 1,
            )
        } else {
            let special = |(n, _): &(usize, char)| text[*n..].starts_with("{.") || text[*n..].starts_with(['(', '<']);
            let end = text.char_indices().find(special).map_or(text.len(), |found| found.0);
            (vec![text[..end].to_owned()], end)
        }
    }
}

//! Module and function directives (ISA 11): versions, variables with initialisers, entries, functions, tuning directives.
//! Debug sections are skipped; `.loc` is kept for reports.

use super::lexer::Kind;
use super::parser::{Parsed, Parser, NOWHERE};
use super::tree::{File, Function, Signature, Statement, VarSpace, Variable};
use crate::module::LoadError;

/// Most parameters of a function: each call looks at all of them.
const MAX_PARAMETERS: usize = 4096;

impl<'t> Parser<'t> {
    pub(super) fn file(mut self) -> Parsed<File<'t>> {
        let mut file = File::default();
        loop {
            if self.take(b';') {
                continue;
            }
            let token = self.peek();
            match token.kind {
                Kind::End => break,
                Kind::Dot => self.module_directive(&mut file)?,
                _ => return self.unexpected("a directive"),
            }
        }
        if file.version == (0, 0) {
            return Err(LoadError::at(
                NOWHERE,
                "found no \".version\", expected it in front of everything".into(),
            ));
        }
        if file.target.is_empty() {
            return Err(LoadError::at(
                NOWHERE,
                "found no \".target\", expected one behind \".version\"".into(),
            ));
        }
        Ok(file)
    }

    fn module_directive(&mut self, file: &mut File<'t>) -> Parsed<()> {
        let directive = self.peek().text.get(1..).unwrap_or("");
        match directive {
            "version" => {
                self.next();
                file.version = self.version()?;
            }
            "target" => {
                self.next();
                file.target = self.name("an architecture such as sm_90")?.text;
                while self.take(b',') {
                    file.is_debug |= self.name("a target option")?.text == "debug";
                }
            }
            "address_size" => {
                self.next();
                if self.small()? != 64 {
                    self.at_previous("expected \".address_size 64\": 32-bit addresses are not supported")?;
                }
            }
            "file" => self.source_file(file)?,
            "section" => self.skip_section()?,
            "pragma" => self.skip_to_semicolon()?,
            "alias" => {
                self.next();
                let new = self.name("a function name")?;
                self.expect(b',')?;
                file.aliases.push((new, self.name("a function name")?));
                self.expect(b';')?;
            }
            _ => self.linked(file)?,
        }
        Ok(())
    }

    /// Variables, entries and functions, with their linkage in front.
    fn linked(&mut self, file: &mut File<'t>) -> Parsed<()> {
        let mut external = false;
        loop {
            let token = self.peek();
            match token.text {
                ".extern" => external = true,
                ".visible" | ".weak" | ".common" => {}
                ".entry" | ".func" => {
                    self.next();
                    let function = self.function(token.text == ".entry")?;
                    file.functions.push(function);
                    return Ok(());
                }
                ".global" | ".const" | ".shared" => {
                    let list = self.variables(external)?;
                    file.variables.extend(list);
                    return Ok(());
                }
                _ => return self.unexpected("a module directive"),
            }
            self.next();
        }
    }

    fn version(&mut self) -> Parsed<(u32, u32)> {
        let token = self.peek();
        let parts = token
            .text
            .split_once('.')
            .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        match parts {
            Some(version) if token.kind == Kind::Number => {
                self.next();
                Ok(version)
            }
            _ => self.unexpected("a version such as 8.0"),
        }
    }

    fn at_previous(&self, message: &str) -> Parsed<()> {
        Err(LoadError::at(self.peek().pos, message.to_owned()))
    }

    fn source_file(&mut self, file: &mut File<'t>) -> Parsed<()> {
        self.next();
        let number = self.small()?;
        let token = self.next();
        if token.kind != Kind::Text {
            return Err(LoadError::at(token.pos, "expected a file name in quotes".into()));
        }
        file.sources.push((number, token.text.trim_matches('"').to_owned()));
        while self.take(b',') {
            self.unsigned()?;
        }
        Ok(())
    }

    fn skip_section(&mut self) -> Parsed<()> {
        self.next();
        while !self.is(b'{') {
            if self.peek().kind == Kind::End {
                return self.unexpected("\"{\"");
            }
            self.next();
        }
        let mut depth = 0usize;
        loop {
            match self.peek().kind {
                Kind::Punct(b'{') => depth += 1,
                Kind::Punct(b'}') => depth -= 1,
                Kind::End => return self.unexpected("\"}\""),
                _ => {}
            }
            self.next();
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn skip_to_semicolon(&mut self) -> Parsed<()> {
        while !self.take(b';') {
            if self.peek().kind == Kind::End {
                return self.unexpected("\";\"");
            }
            self.next();
        }
        Ok(())
    }

    fn function(&mut self, is_entry: bool) -> Parsed<Function<'t>> {
        // `.attribute(.unified(...))` may stand in front of the name.
        let results = if !is_entry && self.is(b'(') {
            self.parameters()?
        } else {
            Vec::new()
        };
        let name = self.name("a function name")?;
        let params = if self.is(b'(') { self.parameters()? } else { Vec::new() };
        let mut function = Function {
            name,
            is_entry,
            signature: Signature { params, results },
            required_block: None,
            max_block: None,
            max_registers: None,
            min_blocks: None,
            required_cluster: None,
            body: None,
        };
        self.tuning(&mut function)?;
        if self.take(b'{') {
            function.body = Some(self.body()?);
        } else {
            self.expect(b';')?;
        }
        Ok(function)
    }

    fn tuning(&mut self, function: &mut Function<'t>) -> Parsed<()> {
        while self.peek().kind == Kind::Dot {
            match self.peek().text {
                ".reqntid" => function.required_block = Some(self.triple()?),
                ".maxntid" => function.max_block = Some(self.triple()?),
                ".reqnctapercluster" => function.required_cluster = Some(self.triple()?),
                ".maxnreg" => {
                    self.next();
                    function.max_registers = Some(self.small()?);
                }
                ".minnctapersm" => {
                    self.next();
                    function.min_blocks = Some(self.small()?);
                }
                ".maxnctapersm" | ".maxclusterrank" => {
                    self.next();
                    self.small()?;
                }
                ".noreturn" | ".explicitcluster" | ".blocksareclusters" => {
                    self.next();
                }
                ".abi_preserve" | ".abi_preserve_control" => {
                    self.next();
                    self.small()?;
                }
                ".pragma" => self.skip_to_semicolon()?,
                _ => return self.unexpected("a performance directive, \"{\" or \";\""),
            }
        }
        Ok(())
    }

    fn triple(&mut self) -> Parsed<[u32; 3]> {
        self.next();
        let mut values = [self.small()?, 1, 1];
        for value in &mut values[1..] {
            if self.take(b',') {
                *value = self.small()?;
            }
        }
        Ok(values)
    }

    pub(super) fn prototype(&mut self) -> Parsed<Signature<'t>> {
        let results = if self.is(b'(') { self.parameters()? } else { Vec::new() };
        self.name("\"_\"")?;
        let params = if self.is(b'(') { self.parameters()? } else { Vec::new() };
        while !self.take(b';') {
            match self.peek().kind {
                Kind::Dot | Kind::Number => self.next(),
                _ => return self.unexpected("\";\""),
            };
        }
        Ok(Signature { params, results })
    }

    fn parameters(&mut self) -> Parsed<Vec<Variable<'t>>> {
        self.expect(b'(')?;
        let mut list = Vec::new();
        if self.take(b')') {
            return Ok(list);
        }
        loop {
            let in_register = self.is_dot("reg");
            if !in_register && !self.is_dot("param") {
                return self.unexpected("\".param\" or \".reg\"");
            }
            self.next();
            let prefix = self.prefix()?;
            let mut variable = self.declarator(&prefix, VarSpace::Param)?;
            variable.in_register = in_register;
            list.push(variable);
            if list.len() > MAX_PARAMETERS {
                let text = format!("found more than {MAX_PARAMETERS} parameters, expected less");
                return Err(LoadError::at(self.peek().pos, text));
            }
            if !self.take(b',') {
                self.expect(b')')?;
                return Ok(list);
            }
        }
    }

    /// A directive inside a function.
    pub(super) fn directive(&mut self, out: &mut Vec<Statement<'t>>) -> Parsed<()> {
        match self.peek().text {
            ".reg" => {
                self.next();
                out.push(self.registers()?);
            }
            ".local" | ".shared" | ".global" | ".const" | ".param" => {
                let list = self.variables(false)?;
                out.extend(list.into_iter().map(Statement::Variable));
            }
            ".loc" => {
                self.next();
                let (file, line) = (self.small()?, self.small()?);
                self.small()?;
                out.push(Statement::Source { file, line });
                self.skip_inlined_at()?;
            }
            ".extern" => {
                self.next();
                let list = self.variables(true)?;
                out.extend(list.into_iter().map(Statement::Variable));
            }
            ".pragma" => self.skip_to_semicolon()?,
            _ => return self.unexpected("a directive that a function may hold"),
        }
        Ok(())
    }

    fn skip_inlined_at(&mut self) -> Parsed<()> {
        while self.take(b',') {
            while matches!(self.peek().kind, Kind::Word | Kind::Number | Kind::Punct(b'+')) {
                // The next statement begins with a word too: only known keywords belong to `.loc`.
                let token = self.peek();
                let known = matches!(token.text, "function_name" | "inlined_at") || token.kind != Kind::Word;
                if !known && !token.text.starts_with("$L__") && !token.text.starts_with("info_string") {
                    break;
                }
                self.next();
            }
        }
        Ok(())
    }
}

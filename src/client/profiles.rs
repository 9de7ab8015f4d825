//! The files of AWS's own tools that hold profiles.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use configparser::ini::Ini;

/// What the two files say of one profile.
pub struct Profile {
    name: String,
    credentials: HashMap<String, Option<String>>,
    config: HashMap<String, Option<String>>,
}

impl Profile {
    /// Reads a profile. A file that is not there says nothing of it.
    pub fn read(name: &str, credentials: Option<&Path>, config: Option<&Path>) -> Result<Self, String> {
        let section = if name == "default" { name.to_owned() } else { format!("profile {name}") };
        Ok(Self {
            name: name.to_owned(),
            credentials: credentials.map_or(Ok(HashMap::new()), |file| read_section(file, name))?,
            config: config.map_or(Ok(HashMap::new()), |file| read_section(file, &section))?,
        })
    }

    /// Whether neither file has it.
    pub fn is_unknown(&self) -> bool {
        self.credentials.is_empty() && self.config.is_empty()
    }

    /// A setting of it, from the file of credentials first.
    pub fn get(&self, name: &str) -> Option<&str> {
        [&self.credentials, &self.config]
            .into_iter()
            .find_map(|section| section.get(name)?.as_deref().filter(|value| !value.is_empty()))
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn read_section(file: &Path, section: &str) -> Result<HashMap<String, Option<String>>, String> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(format!("cannot read {}: {error}", file.display())),
    };
    // A secret may have a `:`, a `;` or a `#` in it; settings that belong to another one stand deeper than it.
    let mut grammar = Ini::new_cs().defaults();
    grammar.delimiters = vec!['='];
    grammar.enable_inline_comments = false;
    grammar.multiline = true;
    let mut sections =
        Ini::new_from_defaults(grammar).read(text).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(sections.remove(section).unwrap_or_default())
}

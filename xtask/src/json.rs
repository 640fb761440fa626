//! As much JSON as `cargo metadata` needs, so that the commands build without dependencies.

/// A value. Numbers keep nothing: none is asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool,
    Number,
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The one value that this text is.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let value = value(&mut rest)?;
        rest.trim_start().is_empty().then_some(value)
    }

    /// The field of this name; null where there is none.
    pub(crate) fn get(&self, name: &str) -> &Self {
        let Self::Object(fields) = self else { return &Self::Null };
        fields.iter().find(|(field, _)| field == name).map_or(&Self::Null, |(_, value)| value)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let fields = if let Self::Object(fields) = self { fields.as_slice() } else { &[] };
        fields.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn items(&self) -> &[Self] {
        if let Self::Array(items) = self { items } else { &[] }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

fn value(rest: &mut &str) -> Option<Json> {
    *rest = rest.trim_start();
    match rest.chars().next()? {
        '{' => object(rest),
        '[' => array(rest),
        '"' => text(rest).map(Json::Text),
        't' => word(rest, "true", Json::Bool),
        'f' => word(rest, "false", Json::Bool),
        'n' => word(rest, "null", Json::Null),
        _ => {
            let end = rest.find([',', ']', '}', ' ', '\n']).unwrap_or(rest.len());
            rest.get(..end)?.parse::<f64>().ok()?;
            *rest = rest.get(end..)?;
            Some(Json::Number)
        }
    }
}

fn object(rest: &mut &str) -> Option<Json> {
    let mut fields = Vec::new();
    eat(rest, '{')?;
    while eat(rest, '}').is_none() {
        if !fields.is_empty() {
            eat(rest, ',')?;
        }
        *rest = rest.trim_start();
        let name = text(rest)?;
        eat(rest, ':')?;
        fields.push((name, value(rest)?));
    }
    Some(Json::Object(fields))
}

fn array(rest: &mut &str) -> Option<Json> {
    let mut items = Vec::new();
    eat(rest, '[')?;
    while eat(rest, ']').is_none() {
        if !items.is_empty() {
            eat(rest, ',')?;
        }
        items.push(value(rest)?);
    }
    Some(Json::Array(items))
}

fn text(rest: &mut &str) -> Option<String> {
    let mut chars = rest.strip_prefix('"')?.chars();
    let mut text = String::new();
    loop {
        match chars.next()? {
            '"' => break,
            '\\' => text.push(escaped(&mut chars)?),
            c => text.push(c),
        }
    }
    *rest = chars.as_str();
    Some(text)
}

fn escaped(chars: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match chars.next()? {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => {
            let digits: String = chars.by_ref().take(4).collect();
            // Halves of a pair stand only in descriptions, which nobody asks for.
            let code = u32::from_str_radix(&digits, 16).ok()?;
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        c => c,
    })
}

fn word(rest: &mut &str, word: &str, value: Json) -> Option<Json> {
    *rest = rest.strip_prefix(word)?;
    Some(value)
}

fn eat(rest: &mut &str, c: char) -> Option<()> {
    *rest = rest.trim_start().strip_prefix(c)?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::Json;

    #[test]
    fn fields_items_and_escapes_are_read() {
        let json = Json::parse(r#" {"a": ["x\n\u0041", 1.5e3, null], "b": {"c": true}} "#).unwrap();
        assert_eq!(json.get("a").items()[0].text(), Some("x\nA"));
        assert_eq!(json.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(json.get("b").get("missing"), &Json::Null);
    }

    #[test]
    fn what_is_cut_short_or_followed_by_more_is_refused() {
        for text in ["", "{", "[1", "\"a", "{\"a\" 1}", "1 2", "tru"] {
            assert_eq!(Json::parse(text), None, "{text}");
        }
    }
}

//! The layer that readers use: attributes and blocks by name, with types checked, and nothing left over.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::duration::duration;
use crate::error::{Error, Fault, Mistakes};
use crate::nearest::nearest;
use crate::tree::{Item, Key, Kind, Position, Tree, Value};

/// How many unknown keys of one body are reported: a hostile text could have a hundred thousand.
const REPORT_LIMIT: usize = 50;

/// The items of one object, to be read by name.
///
/// Every name that is asked for becomes known; [`Body::finish`] then refuses what nobody asked for. A name is exact: case
/// counts. An attribute that is given twice is refused when it is read, since two readers could take different ones. A JSON
/// `null` counts as not given.
#[derive(Debug)]
#[must_use = "a body that is not finished does not report unknown keys"]
pub struct Body {
    file: Arc<str>,
    json: bool,
    position: Position,
    items: Vec<Option<Item>>,
    places: HashMap<String, Vec<usize>>,
    known: Vec<&'static str>,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    /// What was read.
    pub value: T,
    /// Where.
    pub position: Position,
}

/// `key "label" … { … }`.
#[derive(Debug)]
pub struct Block {
    /// Where its key stands; in JSON the key of its innermost label.
    pub position: Position,
    /// Its labels, as many as the reader said.
    pub labels: Vec<Placed<String>>,
    /// What is in it.
    pub body: Body,
}

impl Body {
    /// Parses a text; `file` is the name that errors carry.
    pub fn parse(file: &str, text: impl AsRef<[u8]>) -> Result<Body, Error> {
        crate::parse(file, text).map(Body::from)
    }

    /// Where the object starts.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Whether nothing is left to read.
    pub fn is_empty(&self) -> bool {
        self.items.iter().all(Option::is_none)
    }

    /// The attribute `name`, whatever its type.
    pub fn value(&mut self, name: &'static str) -> Result<Option<Value>, Error> {
        let mut found = None;
        for item in self.take(name) {
            let [key, labels @ ..] = item.keys.as_slice() else { continue };
            if !labels.is_empty() {
                return Err(self.error(key.position, labelled(name, labels.len(), 0..=0)));
            }
            if found.is_some() {
                return Err(self.error(key.position, Fault::Duplicate { name: name.into() }));
            }
            found = Some(item.value);
        }
        Ok(found.filter(|value| value.kind != Kind::Null))
    }

    /// The string `name`; a number or a boolean is taken by the letters that it is written with.
    pub fn text(&mut self, name: &'static str) -> Result<Option<Placed<String>>, Error> {
        self.read(name, "a string", |kind| match kind {
            Kind::Text(text) => Ok(text),
            Kind::Number(number) => Ok(number.0),
            Kind::Bool(bool) => Ok(bool.to_string()),
            other => Err(other),
        })
    }

    /// The string `name`, which must be there.
    pub fn required_text(&mut self, name: &'static str) -> Result<Placed<String>, Error> {
        match self.text(name)? {
            Some(text) => Ok(text),
            None => Err(self.missing(name)),
        }
    }

    /// The whole number `name`, also as a string.
    pub fn int(&mut self, name: &'static str) -> Result<Option<Placed<i64>>, Error> {
        self.read(name, "a whole number", |kind| match &kind {
            Kind::Number(number) => number.int().ok_or(kind),
            Kind::Text(text) => text.trim().parse().map_err(|_| kind),
            _ => Err(kind),
        })
    }

    /// The boolean `name`, also as the strings and numbers that Vault takes for one.
    pub fn bool(&mut self, name: &'static str) -> Result<Option<Placed<bool>>, Error> {
        self.read(name, "a boolean", |kind| match &kind {
            Kind::Bool(bool) => Ok(*bool),
            Kind::Number(number) if number.int() == Some(1) => Ok(true),
            Kind::Number(number) if number.int() == Some(0) => Ok(false),
            Kind::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "t" => Ok(true),
                "false" | "0" | "f" => Ok(false),
                _ => Err(kind),
            },
            _ => Err(kind),
        })
    }

    /// The span of time `name`: a number of seconds, or a string as [`duration`] reads it.
    pub fn duration(&mut self, name: &'static str) -> Result<Option<Placed<Duration>>, Error> {
        self.read(name, "a duration such as 3600, \"90s\" or \"1h30m\"", |kind| match &kind {
            Kind::Number(number) => duration(&number.0).ok_or(kind),
            Kind::Text(text) => duration(text).ok_or(kind),
            _ => Err(kind),
        })
    }

    /// The list of strings `name`, as [`Body::text`] takes each.
    pub fn texts(&mut self, name: &'static str) -> Result<Option<Vec<Placed<String>>>, Error> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        let (wanted, position) = ("a list of strings", value.position);
        let Kind::List(values) = value.kind else { return Err(self.mismatch(name, wanted, position, &value.kind)) };
        let text = |Value { position, kind }| match kind {
            Kind::Text(value) => Ok(Placed { value, position }),
            Kind::Number(number) => Ok(Placed { value: number.0, position }),
            Kind::Bool(bool) => Ok(Placed { value: bool.to_string(), position }),
            other => Err(self.mismatch(name, wanted, position, &other)),
        };
        values.into_iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// The list of strings `name`, also as one string with commas between, as Vault takes many of its lists.
    pub fn words(&mut self, name: &'static str) -> Result<Option<Vec<Placed<String>>>, Error> {
        let place = self.places.get(name).and_then(|places| places.first());
        if let Some(Some(Item { value: Value { kind: Kind::Text(_), .. }, .. })) = place.map(|at| &self.items[*at]) {
            let Some(Placed { value, position }) = self.text(name)? else { return Ok(None) };
            let word = |word: &str| Placed { value: word.trim().to_owned(), position };
            return Ok(Some(value.split(',').filter(|word| !word.trim().is_empty()).map(word).collect()));
        }
        self.texts(name)
    }

    /// The object `name`, written `name = { … }` or `name { … }`; in JSON also a list that holds one object.
    pub fn object(&mut self, name: &'static str) -> Result<Option<Body>, Error> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        let position = value.position;
        let kind = match value.kind {
            Kind::List(mut values) if self.json && values.len() == 1 => values.remove(0).kind,
            kind => kind,
        };
        match kind {
            Kind::Object(items) => Ok(Some(self.inner(position, items))),
            other => Err(self.mismatch(name, "an object", position, &other)),
        }
    }

    /// Every block `name` in order, with as many labels as `labels` allows.
    ///
    /// In JSON the labels are nested objects, several blocks a list of objects; a label that may be left out is taken where
    /// all members of an object that is not empty are objects themselves, as the reference does.
    pub fn blocks(&mut self, name: &'static str, labels: RangeInclusive<usize>) -> Result<Vec<Block>, Error> {
        let mut blocks = Vec::new();
        for item in self.take(name) {
            if self.json {
                let mut keys = item.keys;
                let key = keys.pop().unwrap_or(Key { text: name.into(), position: item.value.position });
                self.nested(name, &labels, &mut Vec::new(), key.position, item.value, &mut blocks)?;
                continue;
            }
            let mut keys = item.keys.into_iter();
            let position = keys.next().map_or(item.value.position, |key| key.position);
            let found: Vec<_> = keys.map(|Key { text: value, position }| Placed { value, position }).collect();
            match item.value.kind {
                Kind::Object(items) if labels.contains(&found.len()) => {
                    blocks.push(Block { position, labels: found, body: self.inner(item.value.position, items) });
                }
                Kind::Object(_) => return Err(self.error(position, labelled(name, found.len(), labels))),
                other => return Err(self.mismatch(name, "a block", item.value.position, &other)),
            }
        }
        Ok(blocks)
    }

    /// Everything left, as a map from name to value. A name that stands there twice is refused, and so are labels.
    pub fn entries(&mut self) -> Result<Vec<(Placed<String>, Value)>, Error> {
        let mut entries = Vec::new();
        for index in 0..self.items.len() {
            let Some(mut item) = self.items[index].take() else { continue };
            let labels = item.keys.len() - 1;
            let Some(Key { text, position }) = item.keys.drain(..).next() else { continue };
            if labels > 0 {
                let fault = Fault::Labels { name: text, found: labels, least: 0, most: 0 };
                return Err(self.error(position, fault));
            }
            if self.places.get(&text).is_some_and(|places| places.first() != Some(&index)) {
                return Err(self.error(position, Fault::Duplicate { name: text }));
            }
            entries.push((Placed { value: text, position }, item.value));
        }
        Ok(entries)
    }

    /// Passes over `name`, whatever it holds; where it stands, if it does. For keys that are known and have no effect.
    pub fn skip(&mut self, name: &'static str) -> Option<Position> {
        let items = self.take(name);
        items.first().and_then(|item| item.keys.first()).map(|key| key.position)
    }

    /// Refuses what nobody asked for: one error for each key, with the nearest name that somebody did ask for.
    pub fn finish(self) -> Result<(), Mistakes> {
        let unknown = |item: &Item| {
            let key = item.keys.first()?;
            let nearest = nearest(&key.text, &self.known);
            Some(self.error(key.position, Fault::UnknownKey { name: key.text.clone(), nearest }))
        };
        let errors = self.items.iter().flatten().filter_map(unknown).take(REPORT_LIMIT).collect();
        Mistakes::of(errors).map_or(Ok(()), Err)
    }

    /// An error of this text: for what a reader finds wrong with a value of the right type. `reason` must not repeat the
    /// value where that may be a secret.
    pub fn refuse(&self, position: Position, reason: impl Into<String>) -> Error {
        self.error(position, Fault::Value(reason.into()))
    }

    /// The error for an attribute that must be there and is not.
    pub fn missing(&self, name: &str) -> Error {
        self.error(self.position, Fault::Missing { name: name.into() })
    }

    fn take(&mut self, name: &'static str) -> Vec<Item> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        let places = self.places.get(name).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|at| self.items[*at].take()).collect()
    }

    fn read<T>(
        &mut self,
        name: &'static str,
        wanted: &'static str,
        convert: impl FnOnce(Kind) -> Result<T, Kind>,
    ) -> Result<Option<Placed<T>>, Error> {
        let Some(Value { position, kind }) = self.value(name)? else { return Ok(None) };
        match convert(kind) {
            Ok(value) => Ok(Some(Placed { value, position })),
            Err(kind) => Err(self.mismatch(name, wanted, position, &kind)),
        }
    }

    /// Takes labels off nested JSON objects. The depth is that of the text, which the parser has bounded.
    fn nested(
        &self,
        name: &'static str,
        labels: &RangeInclusive<usize>,
        outer: &mut Vec<Placed<String>>,
        position: Position,
        value: Value,
        blocks: &mut Vec<Block>,
    ) -> Result<(), Error> {
        match value.kind {
            Kind::Null => Ok(()),
            Kind::List(values) => {
                for value in values {
                    let position = value.position;
                    self.nested(name, labels, outer, position, value, blocks)?;
                }
                Ok(())
            }
            Kind::Object(items) => {
                let missing = outer.len() < *labels.start();
                let optional = outer.len() < *labels.end() && !items.is_empty() && items.iter().all(holds_objects);
                if !missing && !optional {
                    let body = self.inner(value.position, items);
                    blocks.push(Block { position, labels: outer.clone(), body });
                    return Ok(());
                }
                for item in items {
                    let Some(Key { text: value, position }) = item.keys.into_iter().next() else { continue };
                    outer.push(Placed { value, position });
                    self.nested(name, labels, outer, position, item.value, blocks)?;
                    outer.pop();
                }
                Ok(())
            }
            other => Err(self.mismatch(name, "an object", value.position, &other)),
        }
    }

    fn inner(&self, position: Position, items: Vec<Item>) -> Body {
        Body::new(self.file.clone(), self.json, position, items)
    }

    fn new(file: Arc<str>, json: bool, position: Position, items: Vec<Item>) -> Body {
        let mut places: HashMap<String, Vec<usize>> = HashMap::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            if let Some(key) = item.keys.first() {
                places.entry(key.text.clone()).or_default().push(index);
            }
        }
        Body { file, json, position, items: items.into_iter().map(Some).collect(), places, known: Vec::new() }
    }

    fn mismatch(&self, name: &str, wanted: &'static str, position: Position, found: &Kind) -> Error {
        self.error(position, Fault::Type { name: name.into(), wanted, found: found.noun() })
    }

    fn error(&self, position: Position, fault: Fault) -> Error {
        Error { file: self.file.clone(), position, fault }
    }
}

impl From<Tree> for Body {
    fn from(tree: Tree) -> Body {
        Body::new(tree.file, tree.json, Position::START, tree.items)
    }
}

fn labelled(name: &str, found: usize, labels: RangeInclusive<usize>) -> Fault {
    Fault::Labels { name: name.into(), found, least: *labels.start(), most: *labels.end() }
}

/// Whether a JSON member holds an object, or a list of nothing but objects.
fn holds_objects(item: &Item) -> bool {
    match &item.value.kind {
        Kind::Object(_) => true,
        Kind::List(values) => !values.is_empty() && values.iter().all(|value| matches!(value.kind, Kind::Object(_))),
        _ => false,
    }
}

//! A program's stored value as JSON.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// A value of any self-describing format. Bytes become text, or base64 if they are no text; keys of
/// maps become text.
pub(crate) struct Json(pub(crate) Value);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any).map(Self)
    }
}

/// The codec wants a type that it can also write.
impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<Value, E> {
        Ok(match std::str::from_utf8(value) {
            Ok(text) => text.into(),
            Err(_) => Map::from_iter([("base64".to_owned(), STANDARD.encode(value).into())]).into(),
        })
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Json(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((Json(key), Json(value))) = entries.next_entry()? {
            let key = match key {
                Value::String(text) => text,
                other => other.to_string(),
            };
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use larder::MessagePack;
    use larder::backend::Codec as _;
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::json;

    use super::Json;

    fn shown<V: Serialize + DeserializeOwned + Send + Sync + 'static>(
        value: &V,
    ) -> serde_json::Value {
        let bytes = MessagePack.encode(value).unwrap();
        let Json(shown) = MessagePack.decode(&bytes).unwrap();
        shown
    }

    #[test]
    fn any_value_of_a_program_is_shown() {
        assert_eq!(
            shown(&("a".to_owned(), -1_i8, 1.5_f64, None::<u8>, true)),
            json!(["a", -1, 1.5, null, true])
        );
        assert_eq!(shown(&BTreeMap::from([(1_u8, vec![2_u8])])), json!({ "1": [2] }));
        assert_eq!(shown(&bytes::Bytes::from_static(b"text")), json!("text"));
        assert_eq!(shown(&bytes::Bytes::from_static(b"\xff")), json!({ "base64": "/w==" }));
    }
}

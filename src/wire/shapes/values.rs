//! Values as JSON has them: objects, base64, numbers.

use std::cell::Cell;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::Percent;

/// A structure that is an object on the wire. serde would take a list of its members as well.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// A blob: base64 on the wire.
pub struct Blob(pub Bytes);

thread_local! {
    static IN_BASE64: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

impl Blob {
    /// How long this thread spent on base64 since it was last asked: serde gives a visitor no place to say so.
    pub fn take_time() -> Duration {
        IN_BASE64.take()
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Base64;
        impl Visitor<'_> for Base64 {
            type Value = Blob;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a base64 string")
            }

            // Decoded straight from the request's body where the string has no escapes.
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Blob, E> {
                let start = Instant::now();
                let decoded = base64_simd::STANDARD.decode_to_vec(text);
                IN_BASE64.set(IN_BASE64.get() + start.elapsed());
                decoded.map(|bytes| Blob(bytes.into())).map_err(|_| E::custom("invalid base64"))
            }
        }
        deserializer.deserialize_str(Base64)
    }
}

/// A 32-bit number of a request, which the service prints with a fraction even where it has none.
#[derive(Clone, Copy, Deserialize)]
pub struct Threshold(pub f64);

impl std::fmt::Display for Threshold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A 32-bit number, printed as the double that it widens to.
pub struct Float(pub f32);

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0))
    }
}

impl From<Percent> for Float {
    fn from(percent: Percent) -> Self {
        Self(percent.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_floats_widened_to_doubles() {
        assert_eq!(serde_json::to_string(&Float(0.222_067_04)).unwrap(), "0.22206704318523407");
        assert_eq!(serde_json::to_string(&Float(100.0)).unwrap(), "100.0");
    }
}

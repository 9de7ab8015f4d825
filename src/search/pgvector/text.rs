//! Vectors as pgvector's text.

use std::fmt::Write;

/// pgvector's text form, from which every 32-bit number comes back as it was.
pub fn text_of(vector: &[f32]) -> String {
    let mut text = String::with_capacity(12 * vector.len());
    for (n, value) in vector.iter().enumerate() {
        let _ = write!(text, "{}{value}", if n == 0 { '[' } else { ',' });
    }
    text.push(']');
    text
}

/// And back.
pub fn vector_of(text: &str) -> sqlx::Result<Vec<f32>> {
    let numbers = text.trim_matches(['[', ']']).split(',');
    numbers.map(|number| number.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_survive_their_text_form() {
        let vector = vec![0.1f32, -1.0, 1e-30, f32::MIN_POSITIVE, 0.333_333_34];
        assert_eq!(vector_of(&text_of(&vector)).unwrap(), vector);
        assert!(vector_of("[1,x]").is_err());
    }
}

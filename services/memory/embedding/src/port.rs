//! The port: what an embedder is to memory, wherever the model runs.

use async_trait::async_trait;

use crate::Error;

/// What one embedding model is. Vectors of different models cannot be compared, so this is recorded with every collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name, such as `all-minilm-l6-v2`.
    pub name: String,
    /// SHA-256 in hexadecimal: of the weights and the tokenizer, or of an upstream's settings. Another digest means other
    /// vectors.
    pub digest: String,
    /// Numbers in a vector.
    pub dimension: u32,
    /// Tokens of a text that count; what comes after them has no influence on the vector.
    pub max_tokens: u32,
}

/// What a text is embedded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To find passages with: somebody waits for it.
    Query,
    /// To be found.
    Passage,
}

/// Turns texts into vectors.
#[async_trait]
pub trait Embedder: Send + Sync + 'static {
    /// The model whose vectors these are.
    fn model(&self) -> &Model;

    /// One vector of length 1 for each text, in order. A text longer than the model's `max_tokens` is cut at the end.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::is_retryable`] tells whether the same call may succeed later. There are vectors for all
    /// texts or for none.
    async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Vec<f32>>, Error>;

    /// Nothing of the queries so far is in memory afterwards. Only who remembers any has something to do.
    async fn forget_queries(&self) {}
}

#[async_trait]
impl<E: Embedder + ?Sized> Embedder for std::sync::Arc<E> {
    fn model(&self) -> &Model {
        (**self).model()
    }

    async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Vec<f32>>, Error> {
        (**self).embed(texts, purpose).await
    }

    async fn forget_queries(&self) {
        (**self).forget_queries().await;
    }
}

/// Scales a vector to length 1; false when it has none that can be scaled.
pub(crate) fn normalise(vector: &mut [f32]) -> bool {
    let square: f64 = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let length = square.sqrt();
    if !length.is_finite() || length < 1e-12 {
        return false;
    }
    for x in vector {
        #[expect(clippy::cast_possible_truncation, reason = "a number between -1 and 1")]
        let scaled = (f64::from(*x) / length) as f32;
        *x = scaled;
    }
    true
}

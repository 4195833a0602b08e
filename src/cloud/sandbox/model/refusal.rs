//! Why a call was refused: the kind decides the status, the text is what OpenStack's own services
//! say.

/// A refused call. The state is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request makes no sense: 400.
    #[error("{0}")]
    Invalid(String),
    /// No token, or none that counts: 401. Keystone never says why.
    #[error("The request you have made requires authentication.")]
    Unauthenticated,
    /// Over quota, or not allowed: 403.
    #[error("{0}")]
    Denied(String),
    /// It does not exist: 404.
    #[error("{0}")]
    Missing(String),
    /// It exists, but not for this: 405.
    #[error("{0}")]
    NotOffered(&'static str),
    /// It asks for a version that is not spoken here: 406.
    #[error("{0}")]
    Unacceptable(String),
    /// It exists, but in the wrong state: 409.
    #[error("{0}")]
    Conflict(String),
    /// The body is longer than anything that is meant here: 413.
    #[error("Request is too large.")]
    TooLarge,
}

impl Refusal {
    /// The HTTP status that every face uses for this kind.
    pub fn status(&self) -> u16 {
        match self {
            Refusal::Invalid(_) => 400,
            Refusal::Unauthenticated => 401,
            Refusal::Denied(_) => 403,
            Refusal::Missing(_) => 404,
            Refusal::NotOffered(_) => 405,
            Refusal::Unacceptable(_) => 406,
            Refusal::Conflict(_) => 409,
            Refusal::TooLarge => 413,
        }
    }
}

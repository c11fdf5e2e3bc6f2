#[doc(hidden)]
pub mod load;

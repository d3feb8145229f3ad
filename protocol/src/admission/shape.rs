//! The notation in which the shapes of messages are written down.
//!
//! Owns the vocabulary of the tables in [`super::requests`] and [`super::responses`]: which fields a struct has, in wire order, and for each its type,
//! the versions that carry it, the versions in which it may be null, and its tag if it travels as a tagged field. Only
//! shapes: no defaults, no meaning. All of it is constant data; looking a shape up allocates nothing.
//!
//! ```text
//! Shape { flexible_from: 12, fields: &[           from v12 lengths are compact and every struct ends in tagged fields
//!     field("replica_id", INT32).until(14),       in every version up to 14
//!     field("session_id", INT32).since(7),        in every version from 7
//!     field("topics", structs::<FetchTopic>(&[    an array of structs; the type says what an element costs once decoded
//!         field("topic", STRING).until(12),
//!         field("partitions", ARRAY_OF_INT32),
//!     ])),
//!     field("cursor", nested(&[..])),             one struct in line; if nullable, behind a byte: 1 there, -1 null
//!     field("cluster_id", STRING).tag(0).since(12).nullable(),
//! ]}
//! ```
//!
//! A shape holds for the versions that `api` says are parsed; it says nothing about others. Shapes never contain
//! themselves, so their depth is that of the table.

/// The shape of one message at all its versions.
#[derive(Debug)]
pub struct Shape {
    /// The first version with compact lengths and tagged fields (KIP-482).
    pub flexible_from: i16,
    /// The fields of the message's own struct.
    pub fields: &'static [Field],
}

/// For messages that have no flexible version.
pub const NEVER: i16 = i16::MAX;

/// One field of a struct.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// As the codec crate calls it.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The first version that carries it.
    pub since: i16,
    /// The last version that carries it.
    pub until: i16,
    /// The first version in which it may be null.
    pub nullable_since: i16,
    /// Its tag, if it is not in line.
    pub tag: Option<u32>,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// One byte, 0 or 1.
    Bool,
    /// A number or a uuid: this many bytes.
    Fixed(usize),
    /// Length, then UTF-8.
    String,
    /// Length, then bytes; also records.
    Bytes,
    /// One struct in line.
    Struct(&'static [Field]),
    /// Count, then elements of this many bytes.
    ArrayOfFixed(usize),
    /// Count, then strings.
    ArrayOfStrings,
    /// Count, then structs.
    ArrayOfStructs {
        /// The fields of an element.
        fields: &'static [Field],
        /// What an element takes in memory once it is decoded, without what it points to.
        element_bytes: usize,
    },
}

impl Field {
    /// In versions from `version` only.
    pub const fn since(mut self, version: i16) -> Self {
        self.since = version;
        self
    }

    /// In versions up to `version` only.
    pub const fn until(mut self, version: i16) -> Self {
        self.until = version;
        self
    }

    /// May be null wherever it is.
    pub const fn nullable(self) -> Self {
        self.nullable_since(0)
    }

    /// May be null from `version`.
    pub const fn nullable_since(mut self, version: i16) -> Self {
        self.nullable_since = version;
        self
    }

    /// Travels as a tagged field.
    pub const fn tag(mut self, tag: u32) -> Self {
        self.tag = Some(tag);
        self
    }

    /// Whether `version` carries it.
    #[inline]
    pub const fn is_in(&self, version: i16) -> bool {
        self.since <= version && version <= self.until
    }

    /// Whether it may be null at `version`.
    #[inline]
    pub const fn is_nullable_in(&self, version: i16) -> bool {
        self.nullable_since <= version
    }
}

pub(super) const BOOL: Kind = Kind::Bool;
pub(super) const INT8: Kind = Kind::Fixed(1);
pub(super) const INT16: Kind = Kind::Fixed(2);
pub(super) const INT32: Kind = Kind::Fixed(4);
pub(super) const INT64: Kind = Kind::Fixed(8);
pub(super) const UUID: Kind = Kind::Fixed(16);
pub(super) const STRING: Kind = Kind::String;
pub(super) const BYTES: Kind = Kind::Bytes;
pub(super) const ARRAY_OF_INT8: Kind = Kind::ArrayOfFixed(1);
pub(super) const ARRAY_OF_INT32: Kind = Kind::ArrayOfFixed(4);
pub(super) const ARRAY_OF_INT64: Kind = Kind::ArrayOfFixed(8);
pub(super) const ARRAY_OF_UUID: Kind = Kind::ArrayOfFixed(16);
pub(super) const ARRAY_OF_STRING: Kind = Kind::ArrayOfStrings;

/// A field in every version, never null, in line.
pub(super) const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, since: 0, until: i16::MAX, nullable_since: i16::MAX, tag: None }
}

/// An array of `T`, which has these fields.
pub(super) const fn structs<T>(fields: &'static [Field]) -> Kind {
    Kind::ArrayOfStructs { fields, element_bytes: size_of::<T>() }
}

/// One struct in line.
pub(super) const fn nested(fields: &'static [Field]) -> Kind {
    Kind::Struct(fields)
}

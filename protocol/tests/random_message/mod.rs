//! Random bodies of requests and responses, made from the tables of shapes.
//!
//! Owns the writer's side of the table: whatever it makes has the shape of its version, with every field at random, so
//! that it must pass the walk, decode to its end and come back from the codec crate byte for byte. Tagged fields never
//! hold their default, for an encoder leaves such fields out.

use bytes::{Bytes, BytesMut};
use weir_protocol::admission::shape::{Field, Kind, Shape};
use weir_protocol::admission::{self, AdmissionError, requests, responses};
use weir_protocol::api::{self, ApiKey};
use weir_protocol::messages::{Encodable, RequestKind, ResponseKind};
use weir_protocol::newer::{self, DescribeLogDirsResponse};

/// Every API at every version that is parsed, KRaft's own included.
pub(crate) fn every_version() -> impl Iterator<Item = (ApiKey, i16)> {
    ApiKey::iter().map(api::versions).flat_map(|api| {
        (api.min..=api.max).filter(move |&version| api.parses(version)).map(move |version| (api.key, version))
    })
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Request,
    Response,
}

/// A message that the codec crate has decoded.
#[derive(Debug)]
pub(crate) enum Decoded {
    Request(RequestKind),
    Response(ResponseKind),
    /// The one response that is declared by hand.
    LogDirs(DescribeLogDirsResponse),
}

impl Side {
    pub(crate) const BOTH: [Side; 2] = [Side::Request, Side::Response];

    pub(crate) fn shape(self, key: ApiKey) -> &'static Shape {
        match self {
            Side::Request => requests::shape_of(key),
            Side::Response => responses::shape_of(key),
        }
    }

    pub(crate) fn admit(self, key: ApiKey, version: i16, body: &[u8]) -> Result<usize, AdmissionError> {
        match self {
            Side::Request => admission::admit(key, version, body),
            Side::Response => admission::admit_response(key, version, body),
        }
    }

    pub(crate) fn decode(self, key: ApiKey, version: i16, body: &mut Bytes) -> Result<Decoded, String> {
        let decoded = match self {
            Side::Request => newer::decode_request(key, version, body).map(Decoded::Request),
            Side::Response if key == ApiKey::DescribeLogDirs => {
                DescribeLogDirsResponse::decode(body, version).map(Decoded::LogDirs)
            }
            Side::Response => {
                ResponseKind::decode(key, body, newer::response_layout(key, version)).map(Decoded::Response)
            }
        };
        decoded.map_err(|error| error.root_cause().to_string())
    }

    /// A body at `version`, made by `random`.
    pub(crate) fn random_body(self, key: ApiKey, version: i16, sizes: Sizes, random: &mut Random) -> Vec<u8> {
        body(self.shape(key), version, sizes, random)
    }
}

impl Decoded {
    pub(crate) fn encode(&self, version: i16) -> Result<BytesMut, String> {
        let mut bytes = BytesMut::new();
        let encoded = match self {
            Decoded::Request(request) => newer::encode_request(request, version, &mut bytes),
            Decoded::Response(response @ ResponseKind::ListOffsets(_)) => {
                response.encode(&mut bytes, newer::response_layout(ApiKey::ListOffsets, version))
            }
            Decoded::Response(response) => response.encode(&mut bytes, version),
            Decoded::LogDirs(response) => response.encode(&mut bytes, version),
        };
        encoded.map(|()| bytes).map_err(|error| error.root_cause().to_string())
    }
}

/// How large things get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Elements of an array, at most.
    pub(crate) elements: u64,
    /// Letters of a string, at most.
    pub(crate) letters: u64,
    /// Of 100 structs in flexible versions, how many carry unknown tagged fields.
    pub(crate) unknown_tags_percent: u64,
    /// Of 100 nullable fields, how many are null.
    pub(crate) null_percent: u64,
}

impl Sizes {
    /// Like a client that uses everything.
    pub(crate) const ORDINARY: Self = Self { elements: 4, letters: 12, unknown_tags_percent: 15, null_percent: 25 };
}

/// SplitMix64: a seed is all there is to reproduce.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A body of this shape at `version`.
fn body(shape: &Shape, version: i16, sizes: Sizes, random: &mut Random) -> Vec<u8> {
    let mut writer =
        Writer { bytes: Vec::new(), version, flexible: version >= shape.flexible_from, sizes, random, depth: 0 };
    writer.fields(shape.fields);
    writer.bytes
}

struct Writer<'a> {
    bytes: Vec<u8>,
    version: i16,
    flexible: bool,
    sizes: Sizes,
    random: &'a mut Random,
    depth: u32,
}

impl Writer<'_> {
    fn fields(&mut self, fields: &[Field]) {
        let version = self.version;
        for field in fields.iter().filter(|field| field.tag.is_none() && field.is_in(version)) {
            self.value(field);
        }
        if self.flexible {
            self.tagged_fields(fields);
        }
    }

    fn value(&mut self, field: &Field) {
        // A tagged field's default is null, empty or false, and defaults are not written.
        let null =
            field.tag.is_none() && field.is_nullable_in(self.version) && self.random.percent(self.sizes.null_percent);
        match field.kind {
            Kind::Bool if field.tag.is_some() => self.bytes.push(1),
            Kind::Bool => self.bytes.push(self.random.below(2) as u8),
            Kind::Fixed(bytes) => self.fixed(bytes),
            Kind::String if null => self.string_length(None),
            Kind::String => self.string(),
            Kind::Bytes if null => self.length(None),
            Kind::Bytes => {
                let length = self.random.below(self.sizes.letters * 4) as usize;
                self.length(Some(length));
                self.fixed(length);
            }
            Kind::Struct(_) if null => self.bytes.push(0xff),
            Kind::Struct(fields) => {
                if field.is_nullable_in(self.version) {
                    self.bytes.push(1);
                }
                self.fields(fields);
            }
            Kind::ArrayOfFixed(_) | Kind::ArrayOfStrings | Kind::ArrayOfStructs { .. } if null => self.length(None),
            Kind::ArrayOfFixed(bytes) => self.array(field, |writer| writer.fixed(bytes)),
            Kind::ArrayOfStrings => self.array(field, Self::string),
            Kind::ArrayOfStructs { fields, .. } => self.array(field, |writer| writer.fields(fields)),
        }
    }

    fn array(&mut self, field: &Field, mut element: impl FnMut(&mut Self)) {
        let least = u64::from(field.tag.is_some());
        // Arrays within arrays are short, or a large outer array would multiply.
        let most = if self.depth == 0 { self.sizes.elements } else { self.sizes.elements.min(4) };
        let count = (least + self.random.below(most)) as usize;
        self.length(Some(count));
        self.depth += 1;
        for _ in 0..count {
            element(self);
        }
        self.depth -= 1;
    }

    fn tagged_fields(&mut self, fields: &[Field]) {
        let mut tagged: Vec<(u32, Vec<u8>)> = Vec::new();
        let known = fields.iter().filter_map(|field| field.tag.map(|tag| (tag, field)));
        let mut next_tag = known.clone().map(|(tag, _)| tag + 1).max().unwrap_or(0);
        let version = self.version;
        for (tag, field) in known.filter(|(_, field)| field.is_in(version)) {
            if self.random.percent(60) {
                tagged.push((tag, self.aside(|writer| writer.value(field))));
            }
        }
        if self.random.percent(self.sizes.unknown_tags_percent) {
            for _ in 0..=self.random.below(3) {
                next_tag += self.random.below(200) as u32;
                let length = self.random.below(self.sizes.letters) as usize;
                tagged.push((next_tag, self.aside(|writer| writer.fixed(length))));
                next_tag += 1;
            }
        }
        tagged.sort_by_key(|(tag, _)| *tag);
        self.varint(tagged.len());
        for (tag, bytes) in tagged {
            self.varint(tag as usize);
            self.varint(bytes.len());
            self.bytes.extend(bytes);
        }
    }

    /// What `write` writes, apart from the rest.
    fn aside(&mut self, write: impl FnOnce(&mut Self)) -> Vec<u8> {
        let before = std::mem::take(&mut self.bytes);
        write(self);
        std::mem::replace(&mut self.bytes, before)
    }

    fn fixed(&mut self, bytes: usize) {
        for _ in 0..bytes {
            self.bytes.push(self.random.next() as u8);
        }
    }

    fn string(&mut self) {
        let letters = self.random.below(self.sizes.letters + 1);
        let text: String = (0..letters)
            .map(|_| if self.random.percent(90) { (b'a' + self.random.below(26) as u8) as char } else { 'é' })
            .collect();
        self.string_length(Some(text.len()));
        self.bytes.extend(text.as_bytes());
    }

    fn string_length(&mut self, length: Option<usize>) {
        if self.flexible {
            return self.length(length);
        }
        let length = length.map_or(-1, |length| i16::try_from(length).expect("a short string"));
        self.bytes.extend(length.to_be_bytes());
    }

    fn length(&mut self, length: Option<usize>) {
        if self.flexible {
            return self.varint(length.map_or(0, |length| length + 1));
        }
        let length = length.map_or(-1, |length| i32::try_from(length).expect("a short array"));
        self.bytes.extend(length.to_be_bytes());
    }

    fn varint(&mut self, value: usize) {
        let mut value = u32::try_from(value).expect("32 bits");
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

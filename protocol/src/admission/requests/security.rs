//! Shapes of the requests about access control, delegation tokens and SCRAM.
//!
//! The facts are those of Kafka 4.1's message definitions; [`super::super::shape`] explains the notation.

use kafka_protocol::messages::{
    alter_user_scram_credentials_request, create_acls_request, create_delegation_token_request, delete_acls_request,
    describe_delegation_token_request, describe_user_scram_credentials_request,
};

use super::super::shape::{BYTES, INT8, INT32, INT64, STRING, Shape, field, structs};

/// DescribeAcls (29).
pub(super) static DESCRIBE_ACLS: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("resource_type_filter", INT8),
        field("resource_name_filter", STRING).nullable(),
        field("pattern_type_filter", INT8),
        field("principal_filter", STRING).nullable(),
        field("host_filter", STRING).nullable(),
        field("operation", INT8),
        field("permission_type", INT8),
    ],
};

/// CreateAcls (30).
pub(super) static CREATE_ACLS: Shape = Shape {
    flexible_from: 2,
    fields: &[field(
        "creations",
        structs::<create_acls_request::AclCreation>(&[
            field("resource_type", INT8),
            field("resource_name", STRING),
            field("resource_pattern_type", INT8),
            field("principal", STRING),
            field("host", STRING),
            field("operation", INT8),
            field("permission_type", INT8),
        ]),
    )],
};

/// DeleteAcls (31).
pub(super) static DELETE_ACLS: Shape = Shape {
    flexible_from: 2,
    fields: &[field(
        "filters",
        structs::<delete_acls_request::DeleteAclsFilter>(&[
            field("resource_type_filter", INT8),
            field("resource_name_filter", STRING).nullable(),
            field("pattern_type_filter", INT8),
            field("principal_filter", STRING).nullable(),
            field("host_filter", STRING).nullable(),
            field("operation", INT8),
            field("permission_type", INT8),
        ]),
    )],
};

/// CreateDelegationToken (38).
pub(super) static CREATE_DELEGATION_TOKEN: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("owner_principal_type", STRING).since(3).nullable(),
        field("owner_principal_name", STRING).since(3).nullable(),
        field(
            "renewers",
            structs::<create_delegation_token_request::CreatableRenewers>(&[
                field("principal_type", STRING),
                field("principal_name", STRING),
            ]),
        ),
        field("max_lifetime_ms", INT64),
    ],
};

/// RenewDelegationToken (39).
pub(super) static RENEW_DELEGATION_TOKEN: Shape =
    Shape { flexible_from: 2, fields: &[field("hmac", BYTES), field("renew_period_ms", INT64)] };

/// ExpireDelegationToken (40).
pub(super) static EXPIRE_DELEGATION_TOKEN: Shape =
    Shape { flexible_from: 2, fields: &[field("hmac", BYTES), field("expiry_time_period_ms", INT64)] };

/// DescribeDelegationToken (41).
pub(super) static DESCRIBE_DELEGATION_TOKEN: Shape = Shape {
    flexible_from: 2,
    fields: &[field(
        "owners",
        structs::<describe_delegation_token_request::DescribeDelegationTokenOwner>(&[
            field("principal_type", STRING),
            field("principal_name", STRING),
        ]),
    )
    .nullable()],
};

/// DescribeUserScramCredentials (50).
pub(super) static DESCRIBE_USER_SCRAM_CREDENTIALS: Shape = Shape {
    flexible_from: 0,
    fields: &[field("users", structs::<describe_user_scram_credentials_request::UserName>(&[field("name", STRING)]))
        .nullable()],
};

/// AlterUserScramCredentials (51).
pub(super) static ALTER_USER_SCRAM_CREDENTIALS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field(
            "deletions",
            structs::<alter_user_scram_credentials_request::ScramCredentialDeletion>(&[
                field("name", STRING),
                field("mechanism", INT8),
            ]),
        ),
        field(
            "upsertions",
            structs::<alter_user_scram_credentials_request::ScramCredentialUpsertion>(&[
                field("name", STRING),
                field("mechanism", INT8),
                field("iterations", INT32),
                field("salt", BYTES),
                field("salted_password", BYTES),
            ]),
        ),
    ],
};

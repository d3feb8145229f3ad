//! Shapes of the responses about access control, delegation tokens and SCRAM.
//!
//! The facts are those of Kafka 4.1's message definitions; [`super::super::shape`] explains the notation.

use kafka_protocol::messages::{
    alter_user_scram_credentials_response, create_acls_response, delete_acls_response, describe_acls_response,
    describe_delegation_token_response, describe_user_scram_credentials_response,
};

use super::super::shape::{BYTES, INT8, INT16, INT32, INT64, STRING, Shape, field, structs};

/// DescribeAcls (29).
pub(super) static DESCRIBE_ACLS: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", STRING).nullable(),
        field(
            "resources",
            structs::<describe_acls_response::DescribeAclsResource>(&[
                field("resource_type", INT8),
                field("resource_name", STRING),
                field("pattern_type", INT8),
                field(
                    "acls",
                    structs::<describe_acls_response::AclDescription>(&[
                        field("principal", STRING),
                        field("host", STRING),
                        field("operation", INT8),
                        field("permission_type", INT8),
                    ]),
                ),
            ]),
        ),
    ],
};

/// CreateAcls (30).
pub(super) static CREATE_ACLS: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "results",
            structs::<create_acls_response::AclCreationResult>(&[
                field("error_code", INT16),
                field("error_message", STRING).nullable(),
            ]),
        ),
    ],
};

/// DeleteAcls (31).
pub(super) static DELETE_ACLS: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "filter_results",
            structs::<delete_acls_response::DeleteAclsFilterResult>(&[
                field("error_code", INT16),
                field("error_message", STRING).nullable(),
                field(
                    "matching_acls",
                    structs::<delete_acls_response::DeleteAclsMatchingAcl>(&[
                        field("error_code", INT16),
                        field("error_message", STRING).nullable(),
                        field("resource_type", INT8),
                        field("resource_name", STRING),
                        field("pattern_type", INT8),
                        field("principal", STRING),
                        field("host", STRING),
                        field("operation", INT8),
                        field("permission_type", INT8),
                    ]),
                ),
            ]),
        ),
    ],
};

/// CreateDelegationToken (38).
pub(super) static CREATE_DELEGATION_TOKEN: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("error_code", INT16),
        field("principal_type", STRING),
        field("principal_name", STRING),
        field("token_requester_principal_type", STRING).since(3),
        field("token_requester_principal_name", STRING).since(3),
        field("issue_timestamp_ms", INT64),
        field("expiry_timestamp_ms", INT64),
        field("max_timestamp_ms", INT64),
        field("token_id", STRING),
        field("hmac", BYTES),
        field("throttle_time_ms", INT32),
    ],
};

/// RenewDelegationToken (39).
pub(super) static RENEW_DELEGATION_TOKEN: Shape = Shape {
    flexible_from: 2,
    fields: &[field("error_code", INT16), field("expiry_timestamp_ms", INT64), field("throttle_time_ms", INT32)],
};

/// ExpireDelegationToken (40).
pub(super) static EXPIRE_DELEGATION_TOKEN: Shape = Shape {
    flexible_from: 2,
    fields: &[field("error_code", INT16), field("expiry_timestamp_ms", INT64), field("throttle_time_ms", INT32)],
};

/// DescribeDelegationToken (41).
pub(super) static DESCRIBE_DELEGATION_TOKEN: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("error_code", INT16),
        field(
            "tokens",
            structs::<describe_delegation_token_response::DescribedDelegationToken>(&[
                field("principal_type", STRING),
                field("principal_name", STRING),
                field("token_requester_principal_type", STRING).since(3),
                field("token_requester_principal_name", STRING).since(3),
                field("issue_timestamp", INT64),
                field("expiry_timestamp", INT64),
                field("max_timestamp", INT64),
                field("token_id", STRING),
                field("hmac", BYTES),
                field(
                    "renewers",
                    structs::<describe_delegation_token_response::DescribedDelegationTokenRenewer>(&[
                        field("principal_type", STRING),
                        field("principal_name", STRING),
                    ]),
                ),
            ]),
        ),
        field("throttle_time_ms", INT32),
    ],
};

/// DescribeUserScramCredentials (50).
pub(super) static DESCRIBE_USER_SCRAM_CREDENTIALS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", STRING).nullable(),
        field(
            "results",
            structs::<describe_user_scram_credentials_response::DescribeUserScramCredentialsResult>(&[
                field("user", STRING),
                field("error_code", INT16),
                field("error_message", STRING).nullable(),
                field(
                    "credential_infos",
                    structs::<describe_user_scram_credentials_response::CredentialInfo>(&[
                        field("mechanism", INT8),
                        field("iterations", INT32),
                    ]),
                ),
            ]),
        ),
    ],
};

/// AlterUserScramCredentials (51).
pub(super) static ALTER_USER_SCRAM_CREDENTIALS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "results",
            structs::<alter_user_scram_credentials_response::AlterUserScramCredentialsResult>(&[
                field("user", STRING),
                field("error_code", INT16),
                field("error_message", STRING).nullable(),
            ]),
        ),
    ],
};

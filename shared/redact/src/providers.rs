//! The provider table: what the keys of each service look like. Written from the providers' public descriptions.
//!
//! Patterns are bounded so that one anchor costs a bounded amount of work; a pattern without a bound says
//! `whole_token`, and then a run of its alphabet is only ever searched once.

use crate::rule::{Check, Rule, Set};

/// Every rule, in no particular order.
pub(crate) fn rules() -> impl Iterator<Item = &'static Rule> {
    [CLOUD, CODE, CHAT_AND_MAIL, MODELS, PAYMENT, PLATFORM, WEB]
        .into_iter()
        .flatten()
}

const CLOUD: &[Rule] = &[
    Rule::new("aws_access_key", &["AKIA", "ASIA", "ABIA", "ACCA"], r"A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{16}"),
    Rule::new("google_api_key", &["AIza"], r"AIza[A-Za-z0-9_-]{35}").check(Check::Entropy(350)),
    Rule::new("google_client_secret", &["GOCSPX-"], r"GOCSPX-[A-Za-z0-9_-]{24,40}"),
    Rule::new("google_oauth_token", &["ya29."], r"ya29\.[A-Za-z0-9._-]{30,2048}").check(Check::Entropy(350)),
    Rule::new("google_refresh_token", &["1//0"], r"1//0[A-Za-z0-9_-]{40,200}").check(Check::Entropy(400)),
    Rule::new("azure_connection_string", &["AccountKey=", "SharedAccessKey=", "accountkey=", "sharedaccesskey="],
        r#"(?:[Aa]ccount[Kk]ey|[Ss]hared[Aa]ccess[Kk]ey|accountkey|sharedaccesskey)=[A-Za-z0-9+/]{40,90}={0,2}(?:;[^\s"'<>]{0,400})?"#)
        .takes(Set::Connection, 0, 600),
    Rule::new("azure_client_secret", &["Q~"], r"Q~[A-Za-z0-9_~.-]{31,34}").takes(Set::Word, 4, 4).check(Check::Entropy(380)),
    Rule::new("azure_sas_signature", &["sig="], r"sig=[A-Za-z0-9+/%]{43,70}(?:=|%3[Dd])").check(Check::Entropy(400)).confidence(85),
    Rule::new("alibaba_access_key", &["LTAI"], r"LTAI[A-Za-z0-9]{16,26}").check(Check::Entropy(330)),
    Rule::new("digitalocean_token", &["dop_v1_", "doo_v1_", "dor_v1_"], r"do[opr]_v1_[a-f0-9]{64}").anywhere(),
    Rule::new("vault_token", &["hvs.", "hvb.", "hvr."], r"hv[sbr]\.[A-Za-z0-9_-]{20,300}").check(Check::Entropy(340)),
    Rule::new("terraform_token", &[".atlasv1."], r"\.atlasv1\.[A-Za-z0-9_=-]{60,80}").takes(Set::Word, 14, 14),
    Rule::new("databricks_token", &["dapi"], r"dapi[a-f0-9]{32}(?:-\d)?").check(Check::Entropy(300)),
    Rule::new("pulumi_token", &["pul-"], r"pul-[a-f0-9]{40}"),
    Rule::new("fly_token", &["FlyV1 ", "fo1_"], r"(?:FlyV1 fm[12][ar]?_[A-Za-z0-9+/=,_-]{100,2000}|fo1_[A-Za-z0-9_-]{43})"),
    Rule::new("tailscale_key", &["tskey-"], r"tskey-[a-z]+-[A-Za-z0-9]+(?:-[A-Za-z0-9]{10,64})?").check(Check::Entropy(330)),
    Rule::new("age_secret_key", &["AGE-SECRET-KEY-1"], r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}").anywhere(),
];

const CODE: &[Rule] = &[
    Rule::new(
        "github_token",
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        r"gh[pousr]_[A-Za-z0-9]{36,255}",
    )
    .anywhere()
    .check(Check::Crc),
    Rule::new(
        "github_token",
        &["github_pat_"],
        r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
    )
    .anywhere()
    .check(Check::Entropy(350)),
    Rule::new(
        "gitlab_token",
        &[
            "glpat-", "glptt-", "gldt-", "glrt-", "glcbt-", "glimt-", "glsoat-", "glft-", "glagent-",
            "gloas-", "glffct-", "glwt-",
        ],
        r"gl(?:pat|ptt|dt|rt|cbt|imt|soat|ft|agent|oas|ffct|wt)-[A-Za-z0-9_.-]{20,300}",
    )
    .check(Check::Entropy(320)),
    Rule::new("gitlab_token", &["GR1348941"], r"GR1348941[A-Za-z0-9_-]{20,50}"),
    Rule::new(
        "bitbucket_token",
        &["ATBB", "ATCTT3xFf", "ATATT3xFf"],
        r"(?:ATBB[A-Za-z0-9]{24,36}|ATCTT3xFf[A-Za-z0-9_=-]{60,300}|ATATT3xFf[A-Za-z0-9_=-]{60,300})",
    ),
    Rule::new("npm_token", &["npm_"], r"npm_[A-Za-z0-9]{36}")
        .anywhere()
        .check(Check::Crc),
    Rule::new("pypi_token", &["pypi-AgE"], r"pypi-AgE[A-Za-z0-9_-]{50,1000}").anywhere(),
    Rule::new("rubygems_token", &["rubygems_"], r"rubygems_[a-f0-9]{48}"),
    Rule::new("crates_token", &["cio"], r"cio[A-Za-z0-9]{32}").check(Check::Entropy(400)),
    Rule::new("clojars_token", &["CLOJARS_"], r"CLOJARS_[a-f0-9]{60}"),
    Rule::new("nuget_key", &["oy2"], r"oy2[a-z0-9]{43}").check(Check::Entropy(380)),
    Rule::new(
        "docker_token",
        &["dckr_pat_", "dckr_oat_"],
        r"dckr_[po]at_[A-Za-z0-9_-]{24,40}",
    ),
    Rule::new(
        "artifactory_key",
        &["AKCp", "cmVmdGtu"],
        r"(?:AKCp[A-Za-z0-9]{60,80}|cmVmdGtu[A-Za-z0-9]{56,70})",
    ),
    Rule::new(
        "circleci_token",
        &["CCIPAT_", "CCIPRJ_"],
        r"CCIP(?:AT|RJ)_[A-Za-z0-9]{15,30}_[a-f0-9]{40}",
    ),
    Rule::new("buildkite_token", &["bkua_"], r"bkua_[a-f0-9]{40}"),
    Rule::new("sonar_token", &["squ_", "sqp_", "sqa_"], r"sq[upa]_[a-f0-9]{40}"),
    Rule::new(
        "sourcegraph_token",
        &["sgp_"],
        r"sgp_(?:[a-f0-9]{16}_)?[a-f0-9]{40}",
    ),
];

const CHAT_AND_MAIL: &[Rule] = &[
    Rule::new(
        "slack_token",
        &[
            "xoxa-", "xoxb-", "xoxe-", "xoxe.", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xoxc-", "xoxd-",
        ],
        r"xox[abeoprscd][.-][A-Za-z0-9%+/=.-]{20,400}",
    )
    .check(Check::Entropy(280)),
    Rule::new(
        "slack_token",
        &["xapp-", "xwfp-"],
        r"(?:xapp|xwfp)-[A-Za-z0-9-]{20,300}",
    )
    .check(Check::Entropy(280)),
    Rule::new(
        "slack_webhook",
        &["https://hooks.slack.com/"],
        r"https://hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/_-]{30,200}",
    )
    .anywhere(),
    Rule::new(
        "discord_webhook",
        &[
            "https://discord.com/api/webhooks/",
            "https://discordapp.com/api/webhooks/",
        ],
        r"https://discord(?:app)?\.com/api/webhooks/\d{15,22}/[A-Za-z0-9_-]{60,90}",
    )
    .anywhere(),
    Rule::new(
        "teams_webhook",
        &[".webhook.office.com/"],
        r#"\.webhook\.office\.com/webhookb2/[^\s"'<>]{60,300}"#,
    )
    .takes(Set::Connection, 0, 80),
    Rule::new("telegram_token", &[":AA"], r":AA[A-Za-z0-9_-]{32,34}")
        .takes(Set::Digits, 8, 10)
        .check(Check::Entropy(380)),
    Rule::new(
        "sendgrid_key",
        &["SG."],
        r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}",
    )
    .check(Check::Entropy(380)),
    Rule::new("mailgun_key", &["key-"], r"key-[a-f0-9]{32}").check(Check::Entropy(300)),
    Rule::new("mailchimp_key", &["-us"], r"-us\d{1,2}").takes(Set::Hex, 32, 32),
    Rule::new(
        "brevo_key",
        &["xkeysib-", "xsmtpsib-"],
        r"x(?:key|smtp)sib-[a-f0-9]{64}-[A-Za-z0-9]{16}",
    ),
    Rule::new("postmark_key", &["PMAK-"], r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    Rule::new("twilio_key", &["SK"], r"SK[0-9a-f]{32}")
        .check(Check::Entropy(300))
        .confidence(80),
];

const MODELS: &[Rule] = &[
    Rule::new("anthropic_key", &["sk-ant-"], r"sk-ant-[A-Za-z0-9_-]{24,300}")
        .anywhere()
        .check(Check::Entropy(380))
        .confidence(98),
    Rule::new(
        "openai_key",
        &["sk-proj-", "sk-svcacct-", "sk-admin-", "sk-None-"],
        r"sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,400}",
    )
    .anywhere()
    .check(Check::Entropy(380))
    .confidence(97),
    Rule::new("openrouter_key", &["sk-or-v1-"], r"sk-or-v1-[a-f0-9]{64}").confidence(98),
    Rule::new("openai_key", &["sk-"], r"sk-[A-Za-z0-9_-]{20,300}")
        .check(Check::Entropy(380))
        .confidence(85),
    Rule::new(
        "huggingface_token",
        &["hf_", "api_org_"],
        r"(?:hf|api_org)_[A-Za-z0-9]{34,40}",
    )
    .check(Check::Entropy(380)),
    Rule::new("replicate_token", &["r8_"], r"r8_[A-Za-z0-9]{37,40}").check(Check::Entropy(380)),
    Rule::new("groq_key", &["gsk_"], r"gsk_[A-Za-z0-9]{48,60}").check(Check::Entropy(380)),
    Rule::new("perplexity_key", &["pplx-"], r"pplx-[A-Za-z0-9]{40,64}").check(Check::Entropy(350)),
    Rule::new("xai_key", &["xai-"], r"xai-[A-Za-z0-9]{70,90}").check(Check::Entropy(380)),
    Rule::new("cerebras_key", &["csk-"], r"csk-[a-z0-9]{40,60}").check(Check::Entropy(350)),
    Rule::new("together_key", &["tgp_v1_"], r"tgp_v1_[A-Za-z0-9_-]{40,60}"),
    Rule::new("fireworks_key", &["fw_"], r"fw_[A-Za-z0-9]{22,40}")
        .check(Check::Entropy(400))
        .confidence(80),
    Rule::new(
        "langsmith_key",
        &["lsv2_pt_", "lsv2_sk_"],
        r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}",
    ),
];

const PAYMENT: &[Rule] = &[
    Rule::new(
        "stripe_key",
        &["sk_live_", "sk_test_", "rk_live_", "rk_test_"],
        r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,300}",
    )
    .check(Check::Entropy(320)),
    Rule::new(
        "stripe_webhook_secret",
        &["whsec_"],
        r"whsec_[A-Za-z0-9+/=]{24,100}",
    )
    .check(Check::Entropy(320)),
    Rule::new(
        "square_token",
        &["EAAA", "sq0atp-", "sq0csp-"],
        r"(?:EAAA[A-Za-z0-9_-]{60}|sq0atp-[A-Za-z0-9_-]{22}|sq0csp-[A-Za-z0-9_-]{43})",
    )
    .check(Check::Entropy(380)),
    Rule::new(
        "paypal_token",
        &["access_token$production$", "access_token$sandbox$"],
        r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}",
    ),
    Rule::new(
        "plaid_token",
        &["access-sandbox-", "access-development-", "access-production-"],
        r"access-(?:sandbox|development|production)-[0-9a-f-]{36}",
    ),
    Rule::new(
        "razorpay_key",
        &["rzp_live_", "rzp_test_"],
        r"rzp_(?:live|test)_[A-Za-z0-9]{14,24}",
    ),
    Rule::new(
        "flutterwave_key",
        &["FLWSECK-", "FLWSECK_TEST-"],
        r"FLWSECK(?:_TEST)?-[A-Za-z0-9]{12,40}(?:-X)?",
    ),
    Rule::new(
        "shopify_token",
        &["shpat_", "shpca_", "shppa_", "shpss_", "shptka_"],
        r"shp(?:at|ca|pa|ss|tka)_[A-Fa-f0-9]{32}",
    )
    .anywhere(),
    Rule::new(
        "shippo_token",
        &["shippo_live_", "shippo_test_"],
        r"shippo_(?:live|test)_[a-f0-9]{40}",
    ),
    Rule::new("easypost_key", &["EZAK", "EZTK"], r"EZ[AT]K[A-Za-z0-9]{54}"),
];

const PLATFORM: &[Rule] = &[
    // Harombe's own, as the gateway makes them: the name in base 32, then 32 bytes in base64.
    Rule::new(
        "harombe_key",
        &["hrb_"],
        r"hrb_[0-9a-hjkmnp-tv-z]{12}_[A-Za-z0-9_-]{43}",
    )
    .anywhere()
    .confidence(98),
    Rule::new(
        "linear_key",
        &["lin_api_", "lin_oauth_"],
        r"lin_(?:api|oauth)_[A-Za-z0-9]{40,64}",
    ),
    Rule::new(
        "notion_token",
        &["ntn_", "secret_"],
        r"(?:ntn_[A-Za-z0-9]{40,50}|secret_[A-Za-z0-9]{43})",
    )
    .check(Check::Entropy(380)),
    Rule::new(
        "newrelic_key",
        &["NRAK-", "NRJS-", "NRII-"],
        r"NR(?:AK|JS|II)-[A-Za-z0-9_-]{19,40}",
    ),
    Rule::new(
        "grafana_token",
        &["glc_", "glsa_"],
        r"(?:glc_[A-Za-z0-9+/=]{32,400}|glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8})",
    ),
    Rule::new(
        "sentry_token",
        &["sntrys_", "sntryu_"],
        r"sntry(?:s_[A-Za-z0-9+/=_-]{60,400}|u_[a-f0-9]{64})",
    ),
    Rule::new(
        "dynatrace_token",
        &["dt0c01.", "dt0s01.", "dt0s16."],
        r"dt0[cs](?:01|16)\.[A-Za-z0-9]{8,24}\.[A-Za-z0-9]{64}",
    ),
    Rule::new(
        "doppler_token",
        &["dp.pt.", "dp.st.", "dp.ct.", "dp.sa.", "dp.scim."],
        r"dp\.(?:pt|st|ct|sa|scim)\.(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,44}",
    ),
    Rule::new("postman_key", &["PMAT-"], r"PMAT-[A-Z0-9]{26}"),
    Rule::new(
        "planetscale_token",
        &["pscale_tkn_", "pscale_pw_", "pscale_oauth_"],
        r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{32,64}",
    ),
    Rule::new(
        "supabase_key",
        &["sbp_", "sb_secret_"],
        r"(?:sbp_[a-f0-9]{40}|sb_secret_[A-Za-z0-9_-]{20,50})",
    ),
    Rule::new("prefect_key", &["pnu_"], r"pnu_[A-Za-z0-9]{36}"),
    Rule::new("figma_token", &["figd_"], r"figd_[A-Za-z0-9_-]{40,60}"),
    Rule::new("airtable_token", &["pat"], r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}"),
    Rule::new(
        "hubspot_token",
        &["pat-na1-", "pat-eu1-", "pat-na2-"],
        r"pat-(?:na|eu)\d-[0-9a-f-]{36}",
    ),
    Rule::new("typeform_token", &["tfp_"], r"tfp_[A-Za-z0-9_.=-]{40,90}"),
    Rule::new("contentful_token", &["CFPAT-"], r"CFPAT-[A-Za-z0-9_-]{43}"),
    Rule::new(
        "heroku_key",
        &["HRKU-"],
        r"HRKU-(?:AA[A-Za-z0-9_-]{58}|[0-9a-f-]{36})",
    ),
    Rule::new("netlify_token", &["nfp_"], r"nfp_[A-Za-z0-9]{36,40}"),
    Rule::new("render_key", &["rnd_"], r"rnd_[A-Za-z0-9]{28,40}").check(Check::Entropy(380)),
    Rule::new("neon_key", &["napi_"], r"napi_[a-z0-9]{60,70}"),
    Rule::new("readme_key", &["rdme_"], r"rdme_[a-z0-9]{70}"),
    Rule::new(
        "onepassword_token",
        &["ops_eyJ", "A3-"],
        r"(?:ops_eyJ[A-Za-z0-9+/=_-]{200,2000}|A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5})",
    ),
    Rule::new("adafruit_key", &["aio_"], r"aio_[A-Za-z0-9]{28}").check(Check::Entropy(380)),
    Rule::new(
        "cloudflare_origin_key",
        &["v1.0-"],
        r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}",
    ),
    Rule::new(
        "mapbox_token",
        &["sk.eyJ"],
        r"sk\.eyJ[A-Za-z0-9_-]{40,300}\.[A-Za-z0-9_-]{20,60}",
    ),
];

const WEB: &[Rule] = &[
    Rule::new(
        "jwt",
        &["eyJ"],
        r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){0,2}",
    )
    .whole_token()
    .check(Check::Entropy(350)),
    Rule::new(
        "basic_auth",
        &["-u ", "--user "],
        r#"-(?:u|-user) ["']?[A-Za-z0-9_.@+-]{1,64}:[^\s"']{6,200}"#,
    )
    .check(Check::UserPassword)
    .confidence(80),
];

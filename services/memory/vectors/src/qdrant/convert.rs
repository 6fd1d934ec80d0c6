//! Between the port's words and Qdrant's messages.

use std::collections::HashMap;

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::payload_index_params::IndexParams;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::quantization_config::Quantization as Kind;
use qdrant_client::qdrant::query::Variant as QueryKind;
use qdrant_client::qdrant::value::Kind as ValueKind;
use qdrant_client::qdrant::vector_input::Variant as InputKind;
use qdrant_client::qdrant::vector_output::Vector as OutputKind;
use qdrant_client::qdrant::vectors_config::Config as VectorsKind;
use qdrant_client::qdrant::vectors_output::VectorsOptions;
use qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use qdrant_client::qdrant::{
    BinaryQuantization, CollectionInfo, Condition, CreateCollection, DeletePoints, DenseVector, Distance,
    FieldCondition, FieldType, Filter as QdrantFilter, HasIdCondition, HnswConfigDiff, IntegerIndexParams,
    KeywordIndexParams, Match, PayloadIncludeSelector, PayloadIndexParams, PointId, PointStruct,
    PointsSelector, QuantizationConfig, QuantizationSearchParams, QuantizationType, Query, Range,
    RepeatedIntegers, RepeatedStrings, ScalarQuantization, SearchParams, UpsertPoints, UuidIndexParams,
    Value, VectorInput, VectorParams, VectorsConfig, VectorsOutput, WithPayloadSelector, WriteOrdering,
    WriteOrderingType,
};
use uuid::Uuid;

use crate::port::owner;
use crate::{Filter, Point, QdrantConfig, Quantization};

/// The tag of a tenant's subject.
const OWNER: &str = "owner";
/// Links of each point in the graph of its owner. There is no graph over several owners: nobody searches it.
const LINKS: u64 = 16;
const CANDIDATES_BUILDING: u64 = 128;
/// How many times as many candidates are found by the short form, to be compared by the full vectors.
const OVERSAMPLING: f64 = 3.0;

#[expect(deprecated, reason = "what servers before 1.18 know; later ones know it too")]
pub(super) fn create(called: String, dimension: u32, config: &QdrantConfig) -> CreateCollection {
    let short = config.quantization != Quantization::None;
    let vectors = VectorParams {
        size: u64::from(dimension),
        distance: Distance::Cosine as i32,
        on_disk: short.then_some(true),
        ..VectorParams::default()
    };
    let quantization = match config.quantization {
        Quantization::None => None,
        Quantization::Int8 => Some(Kind::Scalar(ScalarQuantization {
            r#type: QuantizationType::Int8 as i32,
            always_ram: Some(true),
            ..ScalarQuantization::default()
        })),
        Quantization::Binary => Some(Kind::Binary(BinaryQuantization {
            always_ram: Some(true),
            ..BinaryQuantization::default()
        })),
    };
    CreateCollection {
        collection_name: called,
        hnsw_config: Some(HnswConfigDiff {
            m: Some(0),
            payload_m: Some(LINKS),
            ef_construct: Some(CANDIDATES_BUILDING),
            ..HnswConfigDiff::default()
        }),
        shard_number: Some(config.shards),
        vectors_config: Some(VectorsConfig {
            config: Some(VectorsKind::Params(vectors)),
        }),
        replication_factor: Some(config.replicas),
        write_consistency_factor: Some(config.write_consistency),
        quantization_config: quantization.map(|kind| QuantizationConfig {
            quantization: Some(kind),
        }),
        ..CreateCollection::default()
    }
}

/// The length of the collection's vectors; None when it has none that are ours.
pub(super) fn dimension(info: &CollectionInfo) -> Option<u32> {
    let params = info.config.as_ref()?.params.as_ref()?;
    match params.vectors_config.as_ref()?.config.as_ref()? {
        VectorsKind::Params(params) if params.distance == Distance::Cosine as i32 => {
            u32::try_from(params.size).ok()
        }
        VectorsKind::Params(_) | VectorsKind::ParamsMap(_) => None,
    }
}

/// The indexes of a collection. Graphs are built for owners only: every search is within one.
pub(super) fn indexes() -> Vec<(&'static str, FieldType, PayloadIndexParams)> {
    let keyword = |tenant, graph| {
        IndexParams::KeywordIndexParams(KeywordIndexParams {
            is_tenant: Some(tenant),
            enable_hnsw: Some(graph),
            ..KeywordIndexParams::default()
        })
    };
    let integer = |lookup, range| {
        IndexParams::IntegerIndexParams(IntegerIndexParams {
            lookup: Some(lookup),
            range: Some(range),
            enable_hnsw: Some(false),
            ..IntegerIndexParams::default()
        })
    };
    let uuid = IndexParams::UuidIndexParams(UuidIndexParams {
        enable_hnsw: Some(false),
        ..UuidIndexParams::default()
    });
    [
        ("tenant", FieldType::Keyword, keyword(true, false)),
        (OWNER, FieldType::Keyword, keyword(false, true)),
        ("agent", FieldType::Keyword, keyword(false, false)),
        ("session", FieldType::Uuid, uuid),
        ("kind", FieldType::Integer, integer(true, false)),
        ("label", FieldType::Integer, integer(true, false)),
        ("time_ms", FieldType::Integer, integer(false, true)),
        ("seq", FieldType::Integer, integer(false, true)),
    ]
    .into_iter()
    .map(|(field, kind, params)| {
        let params = PayloadIndexParams {
            index_params: Some(params),
        };
        (field, kind, params)
    })
    .collect()
}

pub(super) fn upsert(
    called: String,
    tenant: &str,
    points: Vec<Point>,
    config: &QdrantConfig,
) -> UpsertPoints {
    UpsertPoints {
        collection_name: called,
        wait: Some(true),
        points: points.into_iter().map(point).collect(),
        ordering: ordering(config),
        // Points of these ids that are another tenant's stay as they are.
        update_filter: Some(all(vec![is("tenant", tenant)])),
        ..UpsertPoints::default()
    }
}

fn point(point: Point) -> PointStruct {
    let tags = point.tags;
    let mut payload: HashMap<String, Value> = HashMap::from([
        (OWNER.to_owned(), owner(&tags.tenant, &tags.subject).into()),
        ("tenant".to_owned(), tags.tenant.into()),
        ("agent".to_owned(), tags.agent.into()),
        ("kind".to_owned(), i64::from(tags.kind).into()),
        ("label".to_owned(), i64::from(tags.label).into()),
        ("time_ms".to_owned(), tags.time_ms.into()),
        // Larger ones are refused before this.
        (
            "seq".to_owned(),
            i64::try_from(tags.seq).unwrap_or(i64::MAX).into(),
        ),
    ]);
    if let Some(session) = tags.session {
        payload.insert("session".to_owned(), session.to_string().into());
    }
    PointStruct {
        id: Some(point_id(point.id)),
        payload,
        vectors: Some(point.vector.into()),
    }
}

pub(super) fn delete(called: String, tenant: &str, ids: Vec<Uuid>, config: &QdrantConfig) -> DeletePoints {
    let these = HasIdCondition {
        has_id: ids.into_iter().map(point_id).collect(),
    };
    let filter = all(vec![
        condition(ConditionOneOf::HasId(these)),
        is("tenant", tenant),
    ]);
    DeletePoints {
        collection_name: called,
        wait: Some(true),
        points: Some(PointsSelector {
            points_selector_one_of: Some(PointsSelectorOneOf::Filter(filter)),
        }),
        ordering: ordering(config),
        ..DeletePoints::default()
    }
}

/// With copies, a write and the next of the same point must reach each of them in this order.
fn ordering(config: &QdrantConfig) -> Option<WriteOrdering> {
    (config.replicas > 1).then_some(WriteOrdering {
        r#type: WriteOrderingType::Medium as i32,
    })
}

pub(super) fn search(limit: u32, exact: bool, config: &QdrantConfig) -> SearchParams {
    let short = config.quantization != Quantization::None;
    SearchParams {
        hnsw_ef: Some(u64::from(config.candidates.max(limit))),
        exact: Some(exact),
        quantization: (short && !exact).then_some(QuantizationSearchParams {
            ignore: Some(false),
            rescore: Some(true),
            oversampling: Some(OVERSAMPLING),
        }),
        ..SearchParams::default()
    }
}

pub(super) fn nearest(vector: &[f32]) -> Query {
    let dense = DenseVector {
        data: vector.to_vec(),
    };
    Query {
        variant: Some(QueryKind::Nearest(VectorInput {
            variant: Some(InputKind::Dense(dense)),
        })),
    }
}

pub(super) fn filter(filter: &Filter) -> QdrantFilter {
    let mut must = vec![
        is("tenant", &filter.tenant),
        is(OWNER, &owner(&filter.tenant, &filter.subject)),
    ];
    must.extend(filter.agent.as_deref().map(|agent| is("agent", agent)));
    if !filter.sessions.is_empty() {
        let strings = filter.sessions.iter().map(Uuid::to_string).collect();
        must.push(matches(
            "session",
            MatchValue::Keywords(RepeatedStrings { strings }),
        ));
    }
    for (key, numbers) in [("kind", &filter.kinds), ("label", &filter.labels)] {
        if !numbers.is_empty() {
            let integers = numbers.iter().map(|number| i64::from(*number)).collect();
            must.push(matches(key, MatchValue::Integers(RepeatedIntegers { integers })));
        }
    }
    if filter.from_ms.is_some() || filter.until_ms.is_some() {
        must.push(within("time_ms", filter.from_ms, filter.until_ms));
    }
    all(must)
}

fn all(must: Vec<Condition>) -> QdrantFilter {
    QdrantFilter {
        must,
        ..QdrantFilter::default()
    }
}

fn is(key: &str, value: &str) -> Condition {
    matches(key, MatchValue::Keyword(value.to_owned()))
}

fn matches(key: &str, value: MatchValue) -> Condition {
    condition(ConditionOneOf::Field(FieldCondition {
        key: key.to_owned(),
        r#match: Some(Match {
            match_value: Some(value),
        }),
        ..FieldCondition::default()
    }))
}

fn within(key: &str, from: Option<i64>, until: Option<i64>) -> Condition {
    // Qdrant compares with floats, which hold every millisecond of the next 285,000 years.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let float = |time: i64| time as f64;
    condition(ConditionOneOf::Field(FieldCondition {
        key: key.to_owned(),
        range: Some(Range {
            gte: from.map(float),
            lt: until.map(float),
            gt: None,
            lte: None,
        }),
        ..FieldCondition::default()
    }))
}

fn condition(kind: ConditionOneOf) -> Condition {
    Condition {
        condition_one_of: Some(kind),
    }
}

pub(super) fn fields(names: &[&str]) -> WithPayloadSelector {
    let fields = names.iter().map(|&name| name.to_owned()).collect();
    WithPayloadSelector {
        selector_options: Some(SelectorOptions::Include(PayloadIncludeSelector { fields })),
    }
}

pub(super) fn point_id(id: Uuid) -> PointId {
    PointId {
        point_id_options: Some(PointIdOptions::Uuid(id.to_string())),
    }
}

pub(super) fn id(id: Option<PointId>) -> Option<Uuid> {
    match id?.point_id_options? {
        PointIdOptions::Uuid(text) => text.parse().ok(),
        PointIdOptions::Num(_) => None,
    }
}

pub(super) fn text<'a>(payload: &'a HashMap<String, Value>, key: &str) -> Option<&'a str> {
    match payload.get(key)?.kind.as_ref()? {
        ValueKind::StringValue(text) => Some(text),
        _ => None,
    }
}

pub(super) fn number(payload: &HashMap<String, Value>, key: &str) -> Option<u64> {
    match payload.get(key)?.kind.as_ref()? {
        ValueKind::IntegerValue(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

#[expect(deprecated, reason = "where servers before 1.16 put it")]
pub(super) fn vector(vectors: VectorsOutput) -> Option<Vec<f32>> {
    let VectorsOptions::Vector(output) = vectors.vectors_options? else {
        return None;
    };
    match output.vector {
        Some(OutputKind::Dense(dense)) => Some(dense.data),
        Some(_) => None,
        None => Some(output.data),
    }
}

from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetAllJobInfoRequest(_message.Message):
    __slots__ = ("skip_submission_job_info_field", "skip_is_running_tasks_field")
    SKIP_SUBMISSION_JOB_INFO_FIELD_FIELD_NUMBER: _ClassVar[int]
    SKIP_IS_RUNNING_TASKS_FIELD_FIELD_NUMBER: _ClassVar[int]
    skip_submission_job_info_field: bool
    skip_is_running_tasks_field: bool
    def __init__(self, skip_submission_job_info_field: _Optional[bool] = ..., skip_is_running_tasks_field: _Optional[bool] = ...) -> None: ...

class GetAllJobInfoReply(_message.Message):
    __slots__ = ("job_info_list",)
    JOB_INFO_LIST_FIELD_NUMBER: _ClassVar[int]
    job_info_list: _containers.RepeatedCompositeFieldContainer[JobTableData]
    def __init__(self, job_info_list: _Optional[_Iterable[_Union[JobTableData, _Mapping]]] = ...) -> None: ...

class JobTableData(_message.Message):
    __slots__ = ("job_id", "is_dead", "config", "end_time")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    IS_DEAD_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    job_id: bytes
    is_dead: bool
    config: JobConfig
    end_time: int
    def __init__(self, job_id: _Optional[bytes] = ..., is_dead: _Optional[bool] = ..., config: _Optional[_Union[JobConfig, _Mapping]] = ..., end_time: _Optional[int] = ...) -> None: ...

class JobConfig(_message.Message):
    __slots__ = ("ray_namespace",)
    RAY_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    ray_namespace: str
    def __init__(self, ray_namespace: _Optional[str] = ...) -> None: ...
